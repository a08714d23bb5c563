"""A caller's request on its way to the function's server."""

from __future__ import annotations

import asyncio
import contextlib

from fwatchdog.http.messages import Request
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.modes.http.server_connection import ExchangeFailed, ServerConnection
from swarmfn.wire.headers import end_to_end

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_OURS = frozenset({"content-length", "expect"})
_SMALL = 256 * 1024


class OutgoingRequest:
    """The head's bytes and the body: whole, or as it comes. `is_sent`: all of it is with the server."""

    def __init__(self, head: bytes, body: RequestBody | None, is_chunked: bool, can_repeat: bool) -> None:
        self._head = head
        self._body = body
        self._is_chunked = is_chunked
        self.can_repeat = can_repeat
        self.is_sent = False
        self._sending: asyncio.Task[None] | None = None

    async def start(self, connection: ServerConnection) -> None:
        """Sends what is there; the rest follows while the response may already come. Raises ExchangeFailed."""
        body = self._body
        if body is None or (body.is_complete and body.unread <= _SMALL):
            pieces = [] if body is None else body.take()
            await connection.write(b"".join((self._head, *map(self._framed, pieces), self._end())))
            self.is_sent = True
            return
        await connection.write(self._head)
        self._sending = asyncio.get_running_loop().create_task(self._send(connection, body))

    def stop(self) -> None:
        """The response is there, or will never be: whatever else comes of the body is of no use."""
        if self._sending is not None:
            self._sending.cancel()
        if self._body is not None and not self.is_sent:
            self._body.discard()

    async def _send(self, connection: ServerConnection, body: RequestBody) -> None:
        # A server that does not want the rest may still answer.
        with contextlib.suppress(ExchangeFailed):
            while piece := await body.read():
                await connection.write(self._framed(piece))
            await connection.write(self._end())
            self.is_sent = True

    def _framed(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece

    def _end(self) -> bytes:
        return b"0\r\n\r\n" if self._is_chunked else b""


async def outgoing(request: Request, prefix: str, is_buffered: bool) -> OutgoingRequest:
    """`request` for a server whose paths start with `prefix`; with `is_buffered` complete, and never chunked."""
    target = request.target if request.target == "*" else prefix + request.target
    length = request.length
    pieces: list[bytes] = []
    if is_buffered and length != 0:
        pieces = await request.body.read_all()
        length = sum(map(len, pieces))
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in end_to_end(request.headers) if name.lower() not in _OURS]
    if request.header("host") is None:
        lines.append("Host: localhost")
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    elif length or request.header("content-length") is not None or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {length}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    can_repeat = request.method in _REPEATABLE and request.length == 0
    if pieces or request.length == 0:
        return OutgoingRequest(b"".join((head, *pieces)), None, False, can_repeat)
    return OutgoingRequest(head, request.body, length is None, can_repeat)
