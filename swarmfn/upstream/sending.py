"""Streamed request bodies as they go on the wire."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)


def framed(head: bytes, body: AsyncIterator[bytes], chunked: bool) -> AsyncIterator[bytes]:
    """`body` as `head` announces it. Raises ValueError if a server could not tell where it ends."""
    if chunked:
        return _in_chunks(body)
    found = _CONTENT_LENGTH.search(head)
    if found is None:
        raise ValueError("a streamed request body needs a Content-Length or chunked=True")
    return _measured(body, int(found[1]))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; an empty one would end it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


async def _in_chunks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for data in body:
        if data:
            yield chunk(data)
    yield LAST_CHUNK


async def _measured(body: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    """`body`, held to `length`: a byte more would be read as the beginning of the next request."""
    left = length
    async for data in body:
        left -= len(data)
        if left < 0:
            raise ValueError(f"the request body is longer than its Content-Length of {length}")
        if data:
            yield data
    if left:
        raise ValueError(f"the request body ended {left} bytes short of its Content-Length of {length}")


class Sender:
    """Writes a streamed body to `transport` in a task of its own, no faster than the transport takes it.

    on_failure gets what the body's iterator raised, and is not called once the sender was stopped.
    """

    __slots__ = ("_is_paused", "_is_stopped", "_loop", "_on_failure", "_resumed", "_task", "_transport", "is_done")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.WriteTransport,
        pieces: AsyncIterator[bytes],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.is_done = False
        """All of the body has been written."""
        self._loop = loop
        self._transport = transport
        self._on_failure = on_failure
        self._is_paused = False
        self._is_stopped = False
        self._resumed: asyncio.Future[None] | None = None
        self._task = loop.create_task(self._run(pieces))

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    def stop(self) -> None:
        """Writes nothing more; the iterator is cancelled where it waits."""
        self._is_stopped = True
        if not self.is_done:
            self._task.cancel()

    async def _run(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            async for piece in pieces:
                while self._is_paused:
                    self._resumed = self._loop.create_future()
                    await self._resumed
                if self._is_stopped or self._transport.is_closing():
                    return  # an iterator may outlive its cancellation, and a lost connection is about to say so
                self._transport.write(piece)
            self.is_done = True
        except BaseException as exc:
            if not self._is_stopped:
                self._on_failure(exc)
            if not isinstance(exc, Exception):
                raise
