"""A response on its way out, no faster than its client reads."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum

from fwatchdog.http.messages import BrokenResponse, Response, encode_head, encode_stream_head, has_body
from swarmfn.wire.headers import Headers, first
from swarmfn.wire.request_heads import RequestHead

_SMALL = 64 * 1024
_PIECE = 256 * 1024
_STALL = 0.2


class ResponseSender:
    """Writes responses to one transport, whose `pause_writing` and `resume_writing` are passed on to `pause`, `resume`.

    `deadline` is when a client that is not reading has used up its time; `math.inf` while it reads.
    """

    def __init__(self, transport: asyncio.Transport, write_timeout: float) -> None:
        self._transport = transport
        self._write_timeout = write_timeout
        self._loop = asyncio.get_running_loop()
        self._writable: asyncio.Future[None] | None = None
        self._stalled_from = math.inf
        self.deadline = math.inf

    def pause(self) -> None:
        self._writable = self._loop.create_future()
        self._stalled_from = self._loop.time() + _STALL
        self.extend()

    def extend(self) -> None:
        """A client that has been sending meanwhile is alive: its time to read starts again."""
        self.deadline = self._loop.time() + self._write_timeout

    def resume(self) -> None:
        self.deadline = self._stalled_from = math.inf
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    @property
    def is_paused(self) -> bool:
        return self._writable is not None

    @property
    def is_stalled(self) -> bool:
        """Whether the client has not read for a while. Many read nothing before they have sent everything."""
        return self._loop.time() >= self._stalled_from

    async def send(self, response: Response, method: str, keep_alive: bool, is_http_1_1: bool) -> None:
        """Returns when all of it is with the transport. A small response is one write."""
        head = encode_head(response, keep_alive, is_http_1_1)
        pieces = response.body if has_body(method, response.status) else ()
        if sum(map(len, pieces)) <= _SMALL:
            await self.write(b"".join((head, *pieces)))
            return
        await self.write(head)
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                await self.write(piece[start : start + _PIECE])

    async def write(self, data: bytes) -> None:
        """Returns when `data` is with the transport, which takes no more while the client is behind."""
        if self._writable is not None:
            await self._writable
        self._transport.write(data)


class Progress(Enum):
    """How far a response has come."""

    DUE = 1
    BEGUN = 2
    """Its head is sent; the rest follows as the handler makes it."""
    HANDLED = 3
    """The handler has returned all of it, and it is on its way."""


# An enum takes as long to look up a name as Python takes for a call of a function.
DUE, BEGUN, HANDLED = Progress


class SentStream:
    """One response that is sent as it is produced; see `messages.Stream`. `may_stay` says when the head goes out
    whether the connection can be used again afterwards; `keep_alive` is what was then said to the client."""

    def __init__(self, sender: ResponseSender, head: RequestHead, may_stay: Callable[[], bool]) -> None:
        self._sender = sender
        self._head = head
        self._may_stay = may_stay
        self._has_body = False
        self._is_chunked = False
        self._left: int | None = None  # bytes of the body still to come; None: no Content-Length
        self.progress = DUE
        self.keep_alive = False

    @property
    def has_begun(self) -> bool:
        return self.progress is not DUE

    async def begin(self, status: int, headers: Headers) -> None:
        length = first(headers, "content-length")
        self._left = int(length) if length is not None and length.isascii() and length.isdigit() else None
        self._has_body = has_body(self._head.method, status)
        self._is_chunked = self._has_body and self._left is None and self._head.is_http_1_1
        is_framed = not self._has_body or self._is_chunked or self._left is not None
        self.keep_alive = is_framed and self._may_stay()
        self.progress = BEGUN
        head = encode_stream_head(status, headers, self._left, self.keep_alive, self._head.is_http_1_1)
        await self._sender.write(head)

    async def write(self, data: bytes) -> None:
        if not self._has_body or not data:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise BrokenResponse("the function sent more than its Content-Length")
        if not self._is_chunked:
            await self._sender.write(data)
        elif len(data) <= _SMALL:
            await self._sender.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            for part in (b"%x\r\n" % len(data), data, b"\r\n"):
                await self._sender.write(part)

    async def end(self) -> None:
        """Ends the body. Raises BrokenResponse when less was written than the Content-Length said."""
        if self._has_body and self._left:
            raise BrokenResponse("the function sent less than its Content-Length")
        if self._is_chunked:
            await self._sender.write(b"0\r\n\r\n")
