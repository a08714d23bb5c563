"""The watchdog's end of a lane: the connection to a worker process on which one call at a time is made."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.frames import Frame, FrameReader

_SMALL = 64 * 1024
_MOST_WAITING = 16


class WorkerDied(Exception):
    """The process ended while something was expected of it."""


class LaneConnection(asyncio.Protocol):
    """Frames out, frames in. Reading stops while many frames wait: the process then stops too, as its client does."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Frame] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_paused = False
        self.is_open = True

    def write(self, kind: int, head: Mapping[str, Any] | None = None, body: Sequence[bytes] = ()) -> None:
        """Sends a frame of a few megabytes at most. It is never left half sent."""
        if self._transport is not None:
            self._transport.write(b"".join((frames.lead(kind, head or {}, sum(map(len, body))), *body)))

    async def send(self, kind: int, head: Mapping[str, Any], body: Sequence[bytes]) -> None:
        """Sends one of any size, no faster than it is read. Cancelled, it has spoilt the lane."""
        size = sum(map(len, body))
        if size <= _SMALL:
            self.write(kind, head, body)
            return
        for piece in (frames.lead(kind, head, size), *body):
            if self._writable is not None:
                await self._writable
            if self._transport is not None:
                self._transport.write(piece)

    async def next(self) -> Frame:
        """The next frame. Raises WorkerDied."""
        while not self._waiting:
            if not self.is_open:
                raise WorkerDied("the process ended")
            self._reader = self._loop.create_future()
            await self._reader
        frame = self._waiting.popleft()
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return frame

    async def stop(self) -> None:
        """Returns once the call has ended, and the lane can take another. Raises WorkerDied."""
        self.write(frames.STOP)
        while (await self.next()).kind != frames.STOPPED:
            pass

    def close(self, abort: bool = True) -> None:
        """With `abort` at once; otherwise the process may still end in its own way."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort() if abort else self._transport.close()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._waiting.extend(self._frames.feed(data))
        except ValueError:
            # The function wrote on a descriptor that is not its own.
            self.close()
            return
        self._wake()
        if len(self._waiting) > _MOST_WAITING and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.resume_writing()
        self._wake()
        self._on_lost()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
