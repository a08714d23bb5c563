"""One request of a client and its answer, as the app sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from http import HTTPStatus
from typing import Protocol

from gateway.invoke.incoming import CLIENT_GONE, RawHeaders

logger = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024
"""Unread bytes of a request's body above which its client has to wait."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Progress(Enum):
    """How far the answer has come."""

    DUE = 1
    BEGUN = 2
    """Its head is made, and may wait for the first piece of the body."""
    OVER = 3
    """Nothing can be sent any more: the client has been answered, or has left."""


# An enum takes as long to look up a name as Python takes for a call of a function.
DUE, BEGUN, OVER = Progress


class ClientGone(Exception):
    """The client left before its request was whole."""

    status = CLIENT_GONE


class Connection(Protocol):
    """The client's connection, as an exchange uses it."""

    is_full: bool
    """The client does not take more for now; `drain` waits until it does."""

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def on_answered(self, exchange: Exchange) -> None:
        """The answer is complete."""

    def on_ended(self, exchange: Exchange) -> None:
        """The app is done with it."""

    def cut_off(self, exchange: Exchange) -> None:
        """Ends the connection so that the client sees that the answer is not whole."""

    async def drain(self) -> None:
        """Returns when the client takes more."""


class Exchange:
    """Belongs to `connection`, which feeds it the request's body. It is not ASGI, whose messages and awaited calls cost
    the small requests that most are a tenth more.

    path: of the target, still percent-encoded; query: without "?"; headers: names in lower case; length: of the body,
    None when it is chunked; client, port: the client's address, and ours that it came to; keep_alive: the connection
    may be used again; wants_continue: the client holds back its body until it is asked for it; is_http_1_1: it
    understands chunks.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_is_chunked",
        "_left",
        "_pieces",
        "_unread",
        "_waiter",
        "client",
        "headers",
        "is_http_1_1",
        "is_received",
        "keep_alive",
        "length",
        "method",
        "path",
        "port",
        "progress",
        "query",
        "task",
        "wants_continue",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: bytes,
        query: bytes,
        headers: RawHeaders,
        length: int | None,
        client: str,
        port: int,
        keep_alive: bool,
        wants_continue: bool,
        is_http_1_1: bool,
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.length = length
        self.client = client
        self.port = port
        self.keep_alive = keep_alive
        self.wants_continue = wants_continue
        self.is_http_1_1 = is_http_1_1
        self.is_received = False
        """The whole request is here."""
        self.progress = DUE
        self.task: asyncio.Task[None] | None = None
        """In which the app runs."""
        self._pieces: list[bytes] = []
        self._unread = 0
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._is_chunked = False
        self._left: int | None = None  # bytes of the answer's body still to come; None: no Content-Length

    async def run(self, app: App) -> None:
        """Lets `app` answer. An answer that it leaves incomplete is cut off."""
        try:
            await app(self)
        except asyncio.CancelledError:
            pass  # the client has left, or the time for draining is over
        except Exception:
            logger.exception("a request failed unexpectedly", extra={"event": "request_failed"})
        finally:
            if self.progress is not OVER:
                self._connection.cut_off(self)
            self._connection.on_ended(self)

    # The connection's side.

    def feed(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self.progress is OVER:
            return  # what is left of a body whose request has been answered
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > HIGH_WATER:
            self._connection.pause_reading()
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """The request is complete."""
        self.is_received = True
        if self._waiter is not None:
            self._wake()

    def leave(self) -> None:
        """The client has gone."""
        self.progress = OVER
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The app's side: the request's body.

    def whole_body(self) -> bytes | None:
        """The body, if all of it is here already; else None, and nothing is taken."""
        if not self.is_received or self.wants_continue or self.progress is OVER:
            return None
        return self._take()

    async def next_piece(self) -> bytes:
        """All that has come of the body and was not taken, as soon as there is something; b"" for nothing more. It was
        the last when `is_received`. Raises ClientGone."""
        if self.wants_continue:
            self.wants_continue = False
            self._connection.write(_CONTINUE)
        while not (self._pieces or self.is_received or self.progress is OVER):
            self._connection.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = None
        if self.progress is OVER:
            raise ClientGone
        return self._take()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ClientGone."""
        is_last = False
        while not is_last:
            piece = await self.next_piece()
            is_last = self.is_received  # now, for the client may leave before the next step
            if piece:
                yield piece

    def _take(self) -> bytes:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread = 0
        return body

    # The app's side: the answer.

    async def answer(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """All of it at once."""
        if self._connection.is_full:
            await self._connection.drain()
        if self.progress is not OVER:
            self._begin(status, headers)
            self._send(body, is_last=True)

    async def begin(self, status: int, headers: RawHeaders) -> None:
        """The head. It goes out with the first piece of the body, an empty one if need be."""
        if self._connection.is_full:
            await self._connection.drain()
        if self.progress is not OVER:
            self._begin(status, headers)

    async def write(self, piece: bytes) -> None:
        """A piece of the body; returns when the client takes more."""
        if self._connection.is_full:
            await self._connection.drain()
        if self.progress is not OVER:
            self._send(piece, is_last=False)

    async def finish(self) -> None:
        """The end of the body."""
        if self._connection.is_full:
            await self._connection.drain()
        if self.progress is not OVER:
            self._send(b"", is_last=True)

    def _begin(self, status: int, headers: RawHeaders) -> None:
        self.progress = BEGUN
        self._head = self._encode_head(status, headers)

    def _send(self, body: bytes, is_last: bool) -> None:
        if self.method == "HEAD":
            body = b""  # whatever the answer to a GET would have held
        if self._is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"0\r\n\r\n" if is_last else b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and is_last):
                raise RuntimeError("the answer is not as long as its Content-Length")
        if self._head:
            body = self._head + body
            self._head = b""
        if body:
            self._connection.write(body)
        if is_last:
            self.progress = OVER
            self._connection.on_answered(self)

    def _encode_head(self, status: int, headers: RawHeaders) -> bytes:
        """The head's bytes; decides how the end of the body is marked."""
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        length = -1
        for name, value in headers:
            if len(name) == 14 and name.lower() == b"content-length":
                length = int(value)
                if status == 204:
                    continue
            parts += (b"\r\n", name, b": ", value)
        if self.method == "HEAD" or status in _BODILESS:
            self._left = 0  # whatever Content-Length says
        elif length >= 0:
            self._left = length
        elif not self.is_http_1_1:
            self.keep_alive = False
        else:
            self._is_chunked = True
            parts += (b"\r\n", b"Transfer-Encoding", b": ", b"chunked")
        if self.wants_continue:
            # It may send the body or not, so what comes next cannot be told (RFC 9110, section 10.1.1).
            self.keep_alive = False
        if not self.keep_alive:
            parts += (b"\r\n", b"Connection", b": ", b"close")
        parts.append(b"\r\n\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != len(parts) // 4 + 2:
            raise RuntimeError("a header of the answer holds a line break")
        return head


App = Callable[[Exchange], Awaitable[None]]

_BODILESS = frozenset({204, 304})
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus}
