"""The worker processes of one function: calls wait for a free one, dead ones are replaced."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from fwatchdog.children import Nursery
from fwatchdog.modes.python.process import WorkerDied, WorkerProcess
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_FAREWELL = 2.0


class NoWorkers(Exception):
    """Not one process is left, and the last attempt to start one failed; the message says why."""


class Pool:
    """Keeps `settings.workers` processes. Calls get them in the order in which they came."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._free: deque[WorkerProcess] = deque()
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()
        self._workers: set[WorkerProcess] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Returns once the first is ready; the others follow. Raises WorkerDied, OSError."""
        worker = await self._spawn()
        await worker.ready()
        self._free.append(worker)
        for _ in range(self._settings.workers - 1):
            self._add()

    async def acquire(self) -> WorkerProcess:
        """A free process, for this caller alone until `release`. Raises NoWorkers."""
        while self._free:
            worker = self._free.popleft()
            if worker.is_alive:
                return worker
            self._replace(worker)
        turn: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # Given a process in the very moment in which the caller went.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(turn.result())
            raise

    def release(self, worker: WorkerProcess) -> None:
        """Gives the process to the next call; one that is dead, or was killed, is replaced."""
        if not worker.is_alive:
            self._replace(worker)
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._free.append(worker)

    async def close(self) -> None:
        """Free processes may run their exit handlers; whatever is still in a call is killed."""
        self._is_closed = True
        for start in self._starts:
            start.cancel()
        for worker in self._workers.difference(self._free):
            worker.kill()
        await asyncio.gather(*(worker.end(_FAREWELL) for worker in self._free))

    async def _spawn(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._nursery, self._settings)
        self._workers.add(worker)
        return worker

    def _replace(self, worker: WorkerProcess) -> None:
        self._bury(worker)
        if not self._is_closed:
            self._add()

    def _add(self) -> None:
        start = asyncio.get_running_loop().create_task(self._start_another())
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)

    def _bury(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._workers.discard(worker)

    async def _start_another(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                worker = await self._spawn()
                try:
                    await worker.ready()
                except BaseException:
                    self._bury(worker)
                    raise
            except (WorkerDied, OSError) as exc:
                self._start_failed(exc, wait)
                await asyncio.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * 2)
            else:
                self.release(worker)
                return

    def _start_failed(self, exc: Exception, wait: float) -> None:
        extra = {"event": "worker_start_failed"}
        logger.error("a new process of the function did not start: %s; will retry in %g s", exc, wait, extra=extra)
        if self._workers:
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(NoWorkers(str(exc)))
