"""One request of a client and its answer: ASGI's `receive` and `send` for one call of the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from gateway.invoke.incoming import RawHeaders

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HELD_BODY = 64 * 1024
"""Unread bytes of a request's body above which its client has to wait."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE: Message = {"type": "http.disconnect"}


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
    """Belongs to `connection`, which feeds it the request's body.

    keep_alive: the connection may be used again; wants_continue: the client holds back its body until it is asked for
    it; is_http_1_0: it understands no chunks.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_is_chunked",
        "_is_head",
        "_left",
        "_pieces",
        "_size",
        "_waiter",
        "is_gone",
        "is_http_1_0",
        "is_received",
        "is_started",
        "keep_alive",
        "scope",
        "task",
        "wants_continue",
    )

    def __init__(
        self, connection: Connection, scope: Scope, keep_alive: bool, wants_continue: bool, is_http_1_0: bool
    ) -> None:
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self.wants_continue = wants_continue
        self.is_http_1_0 = is_http_1_0
        self.is_received = False
        """The whole request is here."""
        self.is_started = False
        """The answer has begun; its head may wait for the first piece of the body."""
        self.is_gone = False
        """Nothing can be sent any more: the client has left, or has been answered."""
        self.task: asyncio.Task[None] | None = None
        """In which the app runs."""
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._is_chunked = False
        self._is_head = scope["method"] == "HEAD"
        self._left: int | None = None  # bytes of the answer's body still to come; None: no Content-Length

    async def run(self, app: App) -> None:
        """Lets `app` answer. An answer that it leaves incomplete is cut off."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            pass  # the client has left, or the time for draining is over
        except Exception:
            logger.exception("a request failed unexpectedly", extra={"event": "request_failed"})
        finally:
            if not self.is_gone:
                self._connection.cut_off(self)
            self._connection.on_ended(self)

    # The connection's side.

    def feed(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self.is_gone:
            return  # what is left of a body whose request has been answered
        self._pieces.append(data)
        self._size += len(data)
        if self._size > HELD_BODY:
            self._connection.pause_reading()
        self._wake()

    def end(self) -> None:
        """The request is complete."""
        self.is_received = True
        self._wake()

    def leave(self) -> None:
        """The client has gone."""
        self.is_gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The app's side.

    async def receive(self) -> Message:
        if self.wants_continue:
            self.wants_continue = False
            self._connection.write(_CONTINUE)
        while not (self._pieces or self.is_received or self.is_gone):
            self._connection.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = None
        if self.is_gone:
            return _GONE
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        return {"type": "http.request", "body": body, "more_body": not self.is_received}

    async def send(self, message: Message) -> None:
        """The head goes out with the first piece of the body, an empty one if need be."""
        if self._connection.is_full:
            await self._connection.drain()
        if self.is_gone:
            return
        if not self.is_started:
            self.is_started = True
            self._head = self._encode_head(message["status"], message["headers"])
            return
        body, more = message["body"], message.get("more_body", False)
        if self._is_head:
            body = b""  # whatever the answer to a GET would have held
        if self._is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as its Content-Length")
        if self._head:
            body = self._head + body
            self._head = b""
        if body:
            self._connection.write(body)
        if not more:
            self.is_gone = True
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
        if self._is_head or status in (204, 304):
            self._left = 0  # whatever Content-Length says
        elif length >= 0:
            self._left = length
        elif self.is_http_1_0:
            self.keep_alive = False
        else:
            self._is_chunked = True
            parts += (b"\r\n", b"Transfer-Encoding", b": ", b"chunked")
        if self.wants_continue:
            # It may send the body or not, so what comes next cannot be told (RFC 9110, section 10.1.1).
            self.keep_alive = False
        if not self.keep_alive:
            parts += (b"\r\n", b"Connection", b": ", b"close")
        head = b"".join(parts)
        if head.count(b"\n") != len(parts) // 4:
            raise RuntimeError("a header of the answer holds a line break")
        return head + b"\r\n\r\n"


_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus}
