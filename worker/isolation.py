"""Runs what was in a process that died once more, each call in a process with nothing else in it.

Which call a process died of (its answer took all of the memory, say) nobody can tell while there were others. Alone, it
takes nobody along, and only it is charged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.repeated_failures import RepeatedFailures
from worker.parent import PARENT_VARIABLE

logger = logging.getLogger(__name__)

NAME_VARIABLE = "worker_name"
"""Set for a worker process by who starts it."""

ALONE_VARIABLE = "worker_alone"
"""Set for a process that runs calls alone, one after the other, until none is left."""

_LOOK_EVERY = 1.0
_SCORE = Path("/proc/self/oom_score_adj")
_DIES_FIRST = "500"
_AT_ONCE = 4
_MEMORY_EACH = 400 * 2**20
_CALLS_EACH = 4
"""Another process is started for this many waiting calls, up to _AT_ONCE: innocent calls must not wait long."""


class Isolation:
    """Starts the processes that are needed. `waiting` tells how many calls there are for them; `bury` is called with
    the name of each one that died, and says how many calls it has handed back. There are no more at a time than
    there is `memory` for, in bytes."""

    def __init__(
        self, waiting: Callable[[], Awaitable[int]], bury: Callable[[str], Awaitable[int]], memory: int
    ) -> None:
        self._waiting = waiting
        self._bury = bury
        self._at_once = max(1, min(_AT_ONCE, memory // _MEMORY_EACH))
        self._watches: set[asyncio.Task[None]] = set()
        self._processes: set[asyncio.subprocess.Process] = set()
        self._is_stopping = asyncio.Event()

    async def run(self) -> None:
        """Goes on until `stop()`; returns when the last process has ended."""
        failures = RepeatedFailures(logger, "looking for calls to run alone", "upkeep_failed")
        while not self._is_stopping.is_set():
            try:
                await self._look()
                failures.over()
            except Exception as exc:  # calls wait for this, and it must not end the worker's other work
                failures.note(exc)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._is_stopping.wait()
        if self._watches:
            await asyncio.wait(self._watches)

    def stop(self) -> None:
        """Starts nothing more, and has the processes finish what they are running."""
        self._is_stopping.set()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    async def _look(self) -> None:
        try:
            waiting = await self._waiting()
        except Unreachable as exc:
            logger.debug("cannot look for calls to run alone: %s", exc)
            return
        wanted = min(self._at_once, -(-waiting // _CALLS_EACH))
        for _ in range(wanted - len(self._watches)):
            watch = asyncio.create_task(self._watch())
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)

    async def _watch(self) -> None:
        """One process, from its start to its end."""
        name = uuid.uuid4().hex
        environment = {**os.environ, NAME_VARIABLE: name, ALONE_VARIABLE: "1", PARENT_VARIABLE: str(os.getpid())}
        try:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "worker", env=environment)
        except OSError as exc:
            logger.error("cannot start a process for calls to run alone (%s); trying again", exc)
            return
        logger.warning(
            "process %d runs calls alone that were in a worker process that died",
            process.pid,
            extra={"event": "alone_started", "worker": name},
        )
        self._processes.add(process)
        if self._is_stopping.is_set():
            process.terminate()
        try:
            status = await process.wait()
        finally:
            self._processes.discard(process)
        if status != 0:
            await self._take_back(name, status)

    async def _take_back(self, name: str, status: int) -> None:
        while True:
            try:
                returned = await self._bury(name)
                break
            except Unreachable as exc:
                if self._is_stopping.is_set():
                    return
                logger.debug("cannot hand back the call of a dead process: %s", exc)
                await asyncio.sleep(_LOOK_EVERY)
        logger.error(
            "a process that ran calls alone ended with %d; %d calls count it as their failure and run again",
            status,
            returned,
            extra={"event": "alone_died", "worker": name},
        )


def die_first() -> None:
    """Has the kernel end this process before others when memory runs out: it is here for what may take all of it."""
    with contextlib.suppress(OSError):
        _SCORE.write_text(_DIES_FIRST)
