"""One connection to the function's server: a request out, its response in, as often as the server likes."""

from __future__ import annotations

import asyncio
import contextlib
import select
from enum import Enum

from fwatchdog.http.request_bodies import BodyDecoder, LengthDecoder
from fwatchdog.modes.http.response_head import BadResponse, ResponseHead, parse_response_head
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.request_heads import MAX_HEAD, BadRequest

_HIGH_WATER = 1024 * 1024


class ExchangeFailed(Exception):
    """There is no response, or no whole one. `is_unanswered`: not a byte of it came."""

    def __init__(self, reason: str, is_unanswered: bool = False) -> None:
        super().__init__(reason)
        self.is_unanswered = is_unanswered


class Reading(Enum):
    """How far the response of the present exchange has come."""

    NOTHING = 1
    HEAD = 2
    """Something is there; interim heads may have come before the final one."""
    BODY = 3
    COMPLETE = 4


# An enum takes as long to look up a name as Python takes for a call of a function.
NOTHING, HEAD, BODY, COMPLETE = Reading


class _UntilClose:
    """A body that ends with the connection."""

    done = False

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        return [data], b""


class ServerConnection(asyncio.Protocol):
    """`close()` must be called, or the connection given back to its pool, after each exchange."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._method = ""
        self._received = b""
        self._head: ResponseHead | None = None
        self._decoder: BodyDecoder | None = None
        self._pieces: list[bytes] = []
        self._unread = 0
        self._is_paused = False
        self._reading = NOTHING
        self._failure: str | None = None
        self._more: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    def begin(self, method: str) -> None:
        """The next exchange; what is read from now on is its response."""
        self._method = method
        self._head = self._decoder = None
        self._received = b""
        self._reading = NOTHING

    async def write(self, data: bytes) -> None:
        """Raises ExchangeFailed when the server takes no more."""
        if self._writable is not None:
            await self._writable
        if self._transport is None or self._transport.is_closing():
            raise ExchangeFailed("the function's server closed the connection", self._reading is NOTHING)
        self._transport.write(data)

    async def head(self) -> ResponseHead:
        """Raises ExchangeFailed."""
        while self._head is None:
            await self._wait()
        return self._head

    async def read(self) -> list[bytes]:
        """The next pieces of the body; none at its end. Raises ExchangeFailed."""
        while not self._pieces and not self.is_complete:
            await self._wait()
        return self.take()

    def take(self) -> list[bytes]:
        """What is there of the body."""
        pieces, self._pieces = self._pieces, []
        self._unread = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return pieces

    @property
    def is_complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self._reading is COMPLETE

    @property
    def can_go_on(self) -> bool:
        """Whether another exchange can follow, once this one is complete."""
        return self.is_complete and self._head is not None and self._head.keep_alive and self.is_open

    @property
    def is_open(self) -> bool:
        """Asks the kernel too: the server may have closed a moment ago. Between exchanges only."""
        if self._transport is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise ExchangeFailed(self._failure, self._reading is NOTHING)
        self._more = self._loop.create_future()
        await self._more

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._reading is NOTHING:
            self._reading = HEAD
        try:
            rest = self._take_heads(data)
            if rest and self._decoder is not None:
                rest = self._feed(self._decoder, rest)
        except (BadResponse, BadRequest) as exc:
            self._fail(f"the function's server did not send an HTTP response: {exc}")
            return
        if rest:
            # More than one response: nothing on this connection can be trusted any further.
            self.close()
        self._wake()

    def eof_received(self) -> bool:
        if isinstance(self._decoder, _UntilClose):
            self._reading = COMPLETE
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.resume_writing()
        self._fail("the function's server closed the connection before it had answered")

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _take_heads(self, data: bytes) -> bytes:
        """What follows the final head; interim ones (1xx) are dropped."""
        while self._head is None:
            self._received += data
            end = self._received.find(b"\r\n\r\n")
            if end < 0 and len(self._received) <= MAX_HEAD:
                return b""
            if end < 0 or end > MAX_HEAD:
                raise BadResponse(f"its head is over {MAX_HEAD} bytes")
            head = parse_response_head(self._received[:end], self._method)
            data, self._received = self._received[end + 4 :], b""
            if not head.is_interim:
                self._begin_body(head)
        return data

    def _begin_body(self, head: ResponseHead) -> None:
        self._head = head
        if head.is_chunked:
            self._decoder = ChunkedDecoder(is_lenient=True)
        elif head.length is None:
            self._decoder = _UntilClose()
        else:
            self._decoder = LengthDecoder(head.length)
        self._reading = COMPLETE if self._decoder.done else BODY

    def _feed(self, decoder: BodyDecoder, data: bytes) -> bytes:
        pieces, rest = decoder.feed(data)
        self._pieces += pieces
        self._unread += sum(map(len, pieces))
        if decoder.done:
            self._reading = COMPLETE
        if self._unread >= _HIGH_WATER and not self._is_paused and self._transport is not None:
            self._is_paused = True
            with contextlib.suppress(RuntimeError):
                self._transport.pause_reading()
        return rest

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
        self.close()
        self._wake()
