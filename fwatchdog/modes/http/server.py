"""The function's own server: started, waited for, watched, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable

from fwatchdog.children import Child, Nursery
from fwatchdog.function_log import FunctionLog
from fwatchdog.modes import CannotStart
from fwatchdog.modes.executables import ending, program_of
from fwatchdog.modes.http.pool import Pool
from fwatchdog.modes.http.server_connection import ExchangeFailed
from fwatchdog.pipes import PipeReader
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)

FAREWELL = 5.0
"""Seconds that the server has to end by itself after SIGTERM, when no call needs it any more."""

_FIRST_LOOK = 0.01
_LONGEST_LOOK = 0.25
_PATIENCE = 10.0


class FunctionServer:
    """One process, the leader of its group, with its output in the log. `stop()` must be called in every case."""

    def __init__(self, settings: Settings, nursery: Nursery, failed: Callable[[str], None]) -> None:
        """`failed` is called when the process ends after it was once ready, and was not told to."""
        self._settings = settings
        self._nursery = nursery
        self._failed = failed
        self._child: Child | None = None
        self._ended = asyncio.Event()
        self._is_needed = False
        self._output: list[tuple[PipeReader, FunctionLog]] = []

    async def start(self, pool: Pool) -> None:
        """Returns once the server accepts connections. Raises CannotStart."""
        program = program_of(self._settings)
        try:
            child = self._child = self._spawn(program)
        except (OSError, ValueError) as exc:
            raise CannotStart(f"the function's server was not started: {exc}") from exc
        child.on_exit(self._exited)
        waiting = asyncio.ensure_future(self._wait_for(pool))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            ended.cancel()
        if child.exit_code is not None:
            url = self._settings.upstream_url
            raise CannotStart(f"the function's server ended before it listened at {url} ({ending(child.exit_code)})")
        self._is_needed = True

    async def stop(self) -> None:
        """Lets it end in its own way, then kills what is left of its process group."""
        self._is_needed = False
        if self._child is None:
            return
        if self._child.exit_code is None:
            with contextlib.suppress(OSError):
                os.kill(self._child.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._ended.wait()
        self._child.kill()
        self._close_output()

    def _spawn(self, program: str) -> Child:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs: list[int] = []
        ours: list[int] = []
        try:
            for _ in range(2):
                read, write = os.pipe2(os.O_CLOEXEC)
                ours.append(read)
                theirs.append(write)
            child = self._nursery.spawn(program, self._settings.command, os.environb, null, *theirs)
        except BaseException:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in (null, *theirs):
                os.close(descriptor)
        for descriptor in ours:
            log = FunctionLog(self._settings.prefix_logs, self._settings.log_buffer_size)
            self._output.append((PipeReader(descriptor, log.feed), log))
        return child

    async def _wait_for(self, pool: Pool) -> None:
        loop = asyncio.get_running_loop()
        pause, remind = _FIRST_LOOK, loop.time() + _PATIENCE
        while True:
            try:
                pool.release(await pool.connect())
            except ExchangeFailed as exc:
                if loop.time() >= remind:
                    remind += _PATIENCE
                    logger.info("waiting for the function's server: %s", exc, extra={"event": "waiting_for_server"})
                await asyncio.sleep(pause)
                pause = min(_LONGEST_LOOK, pause * 1.5)
            else:
                return

    def _exited(self, exit_code: int) -> None:
        self._ended.set()
        if self._child is not None:
            # Its own children, such as the workers of a pre-forking server.
            self._child.kill()
        if self._is_needed:
            self._failed(f"the function's server ended ({ending(exit_code)})")

    def _close_output(self) -> None:
        for reader, log in self._output:
            reader.read()
            reader.close()
            log.end_call()
        self._output.clear()
