"""mode=asgi: the user's application object on one event loop, a task for each call (ASGI 3, HTTP and lifespan)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Any

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.asgi_call import AsgiCall
from fwatchdog.python_worker.failures import report_failed_start
from fwatchdog.python_worker.lane import Lane, leave_if_forked
from fwatchdog.python_worker.lifespan import Lifespan
from fwatchdog.python_worker.output import flush


def serve_asgi(descriptors: list[int], load: Callable[[], Any]) -> int:
    """Serves calls until the watchdog closes the lanes; the process's exit code."""
    lanes = [Lane(descriptor) for descriptor in descriptors]
    return asyncio.run(_serve(lanes, load))


async def _serve(lanes: list[Lane], load: Callable[[], Any]) -> int:
    loop = asyncio.get_running_loop()
    # The watchdog ends this process by closing its lanes.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    try:
        app = load()
        lifespan = Lifespan(app)
        await lifespan.start()
    except BaseException as exc:
        report_failed_start(lanes[0], exc)
        return 1
    flush()
    lanes[0].send(frames.READY)
    ends = [LaneEnd(app, lifespan.state) for _ in lanes]
    for lane, end in zip(lanes, ends, strict=True):
        await loop.create_unix_connection(lambda end=end: end, sock=lane.detach())  # type: ignore[misc]
    await asyncio.gather(*(end.closed for end in ends))
    await lifespan.stop()
    return 0


class LaneEnd(asyncio.Protocol):
    """One lane: a call at a time, each a task. What a task does after its response may overlap the next call."""

    def __init__(self, app: Any, state: Mapping[str, Any]) -> None:
        self._app = app
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._frames = frames.FrameReader()
        self._call: AsgiCall | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # -- what a call asks ------------------------------------------------------------------------------------------

    def write(self, kind: int, head: Mapping[str, Any] | None = None, body: bytes | memoryview = b"") -> None:
        leave_if_forked()
        assert self._transport is not None
        self._transport.write(b"".join((frames.lead(kind, head or {}, len(body)), body)))

    async def drained(self) -> None:
        """Returns once the watchdog keeps up with what was written."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    # -- what the watchdog says ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.kind == frames.CALL:
                self._begin(frame)
            elif frame.kind == frames.BODY and self._call is not None:
                self._call.arrived(frame)
            elif frame.kind == frames.STOP and self._call is not None:
                self._stop(self._call)

    def _begin(self, frame: frames.Frame) -> None:
        call = self._call = AsgiCall(frame, self)
        task = call.task = self._loop.create_task(call.run(self._app, self._state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop(self, call: AsgiCall) -> None:
        """The watchdog gives the lane to another call once it has read STOPPED."""
        call.disconnect()
        assert call.task is not None
        call.task.add_done_callback(lambda _: self.write(frames.STOPPED))
        call.task.cancel()

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        leave_if_forked()
        self.resume_writing()
        for task in tuple(self._tasks):
            task.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
