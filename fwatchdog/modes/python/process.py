"""A worker process as the watchdog sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import fwatchdog
from fwatchdog.children import Child, Nursery
from fwatchdog.function_log import FunctionLog
from fwatchdog.modes.python.lane import LaneConnection, WorkerDied
from fwatchdog.pipes import PipeReader
from fwatchdog.python_worker import frames
from fwatchdog.python_worker.frames import Frame
from fwatchdog.settings import PYTHON, Settings

# -P: the working directory, often the handler's own, must not stand in for modules that this program needs.
_BOOT = (
    "import sys; root, kind, folder, name, lanes, output, cgi = sys.argv[1:]; sys.path.insert(0, root); "
    "from fwatchdog.python_worker.main import main; sys.path.remove(root); "
    "sys.exit(main(kind, folder, name, [int(lane) for lane in lanes.split(',')], int(output), cgi == 'true'))"
)
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(fwatchdog.__file__)))

_LAST_WORDS = 0.5
_MOST_PRINTED = 1024 * 1024


@dataclass(eq=False, slots=True)
class Lane:
    """A place for one call in a process."""

    process: WorkerProcess
    connection: LaneConnection


class WorkerProcess:
    """One process with the function in it. `kill()` must be called in every case.

    `in_flight` counts the lanes that are taken. A process that `is_retiring` gets no further calls; one where calls are
    `being_stopped` gets none until they have stopped.
    """

    def __init__(self, settings: Settings, on_lost: Callable[[WorkerProcess], None]) -> None:
        self._settings = settings
        self._on_lost = on_lost
        self._log = FunctionLog(settings.prefix_logs, settings.log_buffer_size)
        self._output: PipeReader | None = None
        self._child: Child | None = None
        self._lanes: list[Lane] = []
        self._free: list[Lane] = []
        self._has_single_lane = settings.threads == 1
        self._printed = -1
        self._is_in_call = False
        self.warning = ""
        self._ending = ""
        self.in_flight = 0
        self.is_alive = True
        self.is_retiring = False
        self.being_stopped = 0

    async def start(self, nursery: Nursery) -> None:
        """Returns once the function is imported. Raises OSError, WorkerDied with the reason in one line."""
        pairs = [socket.socketpair() for _ in range(self._settings.threads)]
        output, writes = os.pipe2(os.O_CLOEXEC)
        if self._settings.mode == PYTHON and self._has_single_lane:
            self._printed = _file_in_memory()
        try:
            self._child = self._spawn(nursery, [theirs.fileno() for _, theirs in pairs], writes)
        except BaseException:
            os.close(output)
            for ours, _ in pairs:
                ours.close()
            raise
        finally:
            os.close(writes)
            for _, theirs in pairs:
                theirs.close()
        self._output = PipeReader(output, self._log.feed)
        self._child.on_exit(self._exited)
        for ours, _ in pairs:
            await self._connect(ours)
        frame = await self._first_frame()
        self.end_output()
        if frame.kind != frames.READY:
            raise WorkerDied(frame.head.get("reason", "it did not say that it is ready"))
        self._free = list(self._lanes)
        self.warning = frame.head.get("warning", "")

    async def _first_frame(self) -> Frame:
        try:
            return await self._lanes[0].connection.next()
        except WorkerDied:
            raise WorkerDied(f"the process ended before it was ready ({await self.ending()})") from None

    def _spawn(self, nursery: Nursery, lanes: list[int], output: int) -> Child:
        folder = os.path.abspath(self._settings.handler_path)
        options = ("-P", "-s") if sys.flags.no_user_site else ("-P",)
        numbers = ",".join(map(str, lanes))
        # It has the same file and the same place in it; here it is only read, with a place of its own.
        printed = os.dup(self._printed) if self._printed >= 0 else -1
        cgi = "true" if self._settings.cgi_headers else "false"
        arguments = (_ROOT, self._settings.mode, folder, self._settings.handler, numbers, str(printed), cgi)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        for descriptor in (*lanes, printed):
            if descriptor >= 0:
                os.set_inheritable(descriptor, True)
        try:
            command = (sys.executable, *options, "-c", _BOOT, *arguments)
            return nursery.spawn(sys.executable, command, os.environb, null, output, output)
        finally:
            os.close(null)
            if printed >= 0:
                os.close(printed)

    async def _connect(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        connection = LaneConnection(self._lost)
        await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=ours)
        self._lanes.append(Lane(self, connection))

    def take(self) -> Lane | None:
        """A free lane for one call, if there is one."""
        if not self._free or not self.is_alive or self.is_retiring:
            return None
        self.in_flight += 1
        return self._free.pop()

    def give_back(self, lane: Lane) -> None:
        self.in_flight -= 1
        self._free.append(lane)

    def begin_output(self, call_id: str) -> None:
        """What comes from now on is this call's. With several lanes the process itself marks the lines."""
        self._is_in_call = True
        if self._has_single_lane:
            self._log.call_id = call_id

    def end_output(self, is_answered: bool = True) -> None:
        """What was printed before the answer was sent is in the pipe by now and belongs to this call. Without an answer
        that is also what should have become a part of it."""
        if self._output is not None:
            self._output.read()
        if not is_answered and self._printed >= 0:
            self._log.feed(os.pread(self._printed, _MOST_PRINTED, 0))
        self._is_in_call = False
        if self._has_single_lane:
            self._log.end_call()

    async def ending(self) -> str:
        """How the process ended, for a call that was in it; waits for the end."""
        if self._ending or self._child is None:
            return self._ending
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._child.on_exit(lambda code: None if exited.done() else exited.set_result(code))
        exit_code = await exited
        return f"signal {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"

    async def end(self, timeout: float) -> None:
        """Lets the process end in its own way (exit handlers of the user's code), then kills what is left of it."""
        self.is_alive = False
        ended = asyncio.Event()
        if self._child is not None:
            self._child.on_exit(lambda _: ended.set())
        for lane in self._lanes:
            lane.connection.close(abort=False)
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self, ending: str = "") -> None:
        """Ends the process and all it started; `ending` is what other calls in it are told."""
        self._ending = self._ending or ending
        self.is_alive = False
        if self._child is not None:
            self._child.kill()
        self._close_lanes()
        if self._output is not None:
            self.end_output(is_answered=not self._is_in_call)
            self._output.close()
        if self._printed >= 0:
            os.close(self._printed)
            self._printed = -1

    def _exited(self, exit_code: int) -> None:
        """Children that the function forked hold the lanes open. What they keep alive is cut off once the answers that
        the process had sent are surely read."""
        assert self._child is not None
        self._child.kill()
        asyncio.get_running_loop().call_later(_LAST_WORDS, self._close_lanes)

    def _close_lanes(self) -> None:
        for lane in self._lanes:
            lane.connection.close()

    def _lost(self) -> None:
        """A lane was closed from the other side: by the end of the process, mostly."""
        if self.is_alive:
            self.is_alive = False
            self._on_lost(self)


def _file_in_memory() -> int:
    """-1 where there is no such thing: what handlers print goes to the log then."""
    try:
        return os.memfd_create("stdout")
    except (AttributeError, OSError):
        return -1
