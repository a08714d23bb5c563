"""The worker processes of one function: calls wait for a free lane, dead processes are replaced."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine

from fwatchdog.children import Nursery
from fwatchdog.modes.python.lane import WorkerDied
from fwatchdog.modes.python.process import Lane, WorkerProcess
from fwatchdog.settings import ASGI, Settings

logger = logging.getLogger(__name__)

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_FAREWELL = 2.0
_STOP_GRACE = 1.0


class NoWorkers(Exception):
    """Not one process is left, and the last attempt to start one failed; the message says why."""


class Pool:
    """Keeps `settings.workers` processes. Calls get places in them in the order in which they came."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._processes: list[WorkerProcess] = []
        self._retiring: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Returns once the first is ready; the others follow. Raises WorkerDied, OSError."""
        first = await self._spawn()
        if first.warning:
            logger.warning("%s", first.warning, extra={"event": "threads_shared"})
        self._processes.append(first)
        for _ in range(self._settings.workers - 1):
            self._add()

    async def acquire(self) -> Lane:
        """A lane for this call alone until `release` or `abandon`. Raises NoWorkers."""
        lane = self._free_lane()
        if lane is not None:
            return lane
        turn: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # Given a lane in the very moment in which the caller went.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(turn.result())
            raise

    def _free_lane(self) -> Lane | None:
        """One in the process with the fewest calls."""
        least = min(filter(_is_open, self._processes), key=_load, default=None)
        return least.take() if least is not None else None

    def release(self, lane: Lane) -> None:
        """The call has ended, and the lane may take the next one, unless its process is dead."""
        process = lane.process
        process.give_back(lane)
        if process.is_retiring:
            if not process.in_flight:
                self._bury(process)
            return
        self._serve_waiting()

    def abandon(self, lane: Lane, ending: str, at_once: bool) -> None:
        """The call has to be stopped, and with it its process; `ending` is what other calls there are told.

        When it need not be `at_once`, other calls in the process may end first; it gets no new ones.
        """
        if self._settings.mode == ASGI and lane.process.is_alive:
            # A call that got a place there now would end with the process of one that does not let itself be stopped.
            lane.process.being_stopped += 1
            self._start_task(self._stop(lane, ending, at_once))
        else:
            self._end_process(lane, ending, at_once)

    async def _stop(self, lane: Lane, ending: str, at_once: bool) -> None:
        """A task on an event loop can be cancelled, at the cost of nobody else, unless it does not let itself."""
        is_stopped = await _is_stopped(lane)
        lane.process.being_stopped -= 1
        if is_stopped:
            self.release(lane)
        else:
            self._end_process(lane, ending, at_once)

    def _end_process(self, lane: Lane, ending: str, at_once: bool) -> None:
        process = lane.process
        if at_once or not process.is_alive or process.in_flight == 1:
            self._replace(process, ending)
        elif not process.is_retiring:
            process.is_retiring = True
            self._retiring.add(process)
            self._processes.remove(process)
            self._add()
        self.release(lane)

    async def close(self) -> None:
        """Processes without calls may run their exit handlers; the others are killed."""
        self._is_closed = True
        for task in tuple(self._tasks):
            task.cancel()
        for process in (*self._retiring, *self._processes):
            if process.in_flight:
                process.kill()
        await asyncio.gather(*(process.end(_FAREWELL) for process in self._processes if process.is_alive))

    def _serve_waiting(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            lane = self._free_lane()
            if lane is None:
                return
            self._waiting.popleft().set_result(lane)

    async def _spawn(self) -> WorkerProcess:
        process = WorkerProcess(self._settings, self._replace)
        try:
            await process.start(self._nursery)
        except BaseException:
            process.kill()
            raise
        return process

    def _replace(self, process: WorkerProcess, ending: str = "") -> None:
        """Called when a process is lost, too."""
        self._bury(process, ending)
        if process in self._processes:
            self._processes.remove(process)
            if not self._is_closed:
                self._add()

    def _bury(self, process: WorkerProcess, ending: str = "") -> None:
        process.kill(ending)
        self._retiring.discard(process)

    def _add(self) -> None:
        self._start_task(self._start_another())

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_another(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                process = await self._spawn()
            except (WorkerDied, OSError) as exc:
                self._start_failed(exc, wait)
                await asyncio.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * 2)
            else:
                self._processes.append(process)
                self._serve_waiting()
                return

    def _start_failed(self, exc: Exception, wait: float) -> None:
        extra = {"event": "worker_start_failed"}
        logger.error("a new process of the function did not start: %s; will retry in %g s", exc, wait, extra=extra)
        if self._processes:
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(NoWorkers(str(exc)))


async def _is_stopped(lane: Lane) -> bool:
    try:
        async with asyncio.timeout(_STOP_GRACE):
            await lane.connection.stop()
    except (TimeoutError, WorkerDied):
        return False
    return True


def _is_open(process: WorkerProcess) -> bool:
    return not process.being_stopped


def _load(process: WorkerProcess) -> int:
    return process.in_flight
