"""A client's connection, for uvicorn: reads requests with httptools, within limits, and has the app answer them."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from http import HTTPStatus
from typing import Any, ClassVar, cast

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.connection_limiter import RESERVED_PATIENCE, TOO_MANY_CONNECTIONS, ConnectionLimiter, Slot, is_reserved_for
from gateway.fastlane.exchange import App, Exchange
from gateway.fastlane.half_closed import HalfClosed
from gateway.invoke.incoming import RawHeaders
from gateway.limits import Limits
from swarmfn.upstream.deadlines import DeadlineTimer
from swarmfn.wire.request_heads import BadRequest, check_host, check_path, check_version

_LINGER = 2.0
"""Seconds in which a client that is still sending can read why it was refused, before the connection is closed."""

_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
_SPACES = re.compile(rb"  +")
_LOOKED_AT = frozenset({b"content-length", b"expect", b"host", b"transfer-encoding"})
_RESET = struct.pack("ii", 1, 0)

_MALFORMED = (b"400 Bad Request", b"the request is not proper HTTP/1.1.\n")
_ENDLESS = (b"400 Bad Request", b"the trailers or a chunk's extensions are too long.\n")
_TOO_SLOW = (b"408 Request Timeout", b"the request did not arrive in time (read_timeout).\n")
_TOO_LARGE = (b"431 Request Header Fields Too Large", b"the request's headers are too large.\n")

_TOO_MANY = (b"503 Service Unavailable", TOO_MANY_CONNECTIONS.encode() + b"\n")

Refusal = tuple[bytes, bytes]


def client_connection(
    limits: Limits, limiter: ConnectionLimiter, exchange: type[Exchange] = Exchange
) -> type[ClientConnection]:
    """The protocol class for uvicorn's `Config(http=…)`, whose app is an App of ours; `exchange` is what it makes of
    each request."""
    fields = {"__slots__": (), "limits": limits, "exchange": exchange, "limiter": limiter}
    return type("LimitedClientConnection", (ClientConnection,), fields)


class ClientConnection(asyncio.Protocol):
    """uvicorn has a protocol of its own on httptools. This one limits a request's head in size and time, drops clients
    that stop reading, cancels the app's task when its client leaves, never writes an error into the middle of an
    answer, and speaks HTTP/1.0 to those who do.

    Answers are given one after the other; requests that come early wait.
    """

    # There are more of them than a shared dictionary of an object's attributes holds.
    __slots__ = (
        "__weakref__",
        "_answering",
        "_app",
        "_bodiless",
        "_client",
        "_coding",
        "_fed",
        "_good_host",
        "_had_body",
        "_half_closed",
        "_has_begun",
        "_head_size",
        "_headers",
        "_heads",
        "_host",
        "_hosts",
        "_in_head",
        "_is_at_start",
        "_is_draining",
        "_is_paused",
        "_is_reserved",
        "_length",
        "_loop",
        "_misread",
        "_parser",
        "_port",
        "_receiving",
        "_seen",
        "_server",
        "_task",
        "_timer",
        "_url",
        "_waiting",
        "_wants_continue",
        "_writable",
        "_write_timer",
        "is_full",
        "transport",
    )

    limits: ClassVar[Limits]
    exchange: ClassVar[type[Exchange]]
    limiter: ClassVar[ConnectionLimiter]
    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._app: App = config.loaded_app
        self._server = server_state
        self._parser: Any = _new_parser(self)
        self._timer = DeadlineTimer(self._loop, self._on_deadline)
        self._client = "unknown"
        self._port = 0
        self._is_draining = False
        self._is_paused = False
        self._is_reserved = False
        self._half_closed: HalfClosed | None = None  # by the client
        # Reading.
        self._url = b""
        self._headers: RawHeaders = []
        self._wants_continue = False
        self._hosts = 0
        self._host = b""
        self._good_host: bytes | None = None  # the last one, which mostly comes again
        self._coding: bytes | None = None  # as it was spelled
        self._length: int | None = 0
        self._misread: list[bytes] | None = None  # what follows a head that must be read again
        self._has_begun = False  # with a request that is not complete
        self._in_head = True
        self._heads = 0
        self._head_size = 0
        self._fed = 0
        self._seen = b""  # of the present piece, or of all that the present head has come in
        self._is_at_start = True  # a request begins where that does
        self._had_body = False
        self._bodiless = 0  # bytes of a request in a row that are not part of its body
        self._receiving: Exchange | None = None
        # Answering.
        self._answering: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[Exchange] = deque()
        self.is_full = False
        self._writable: asyncio.Future[None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.connections.add(self)  # type: ignore[arg-type]
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._client = peer[0]
            self._port = transport.get_extra_info("sockname")[1]
        slot = self.limiter.admit(self, self._client)
        self._is_reserved = slot is Slot.RESERVED
        patience = RESERVED_PATIENCE if self._is_reserved else self.limits.read_timeout
        self._timer.set(self._loop.time() + min(patience, self.limits.read_timeout))
        if slot is Slot.NONE:
            self._refuse(_TOO_MANY, lingers=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self.limiter.leave(self)
        self._timer.cancel()
        self._parser = None  # it holds methods of this object
        self._waiting.clear()
        for exchange in (self._receiving, self._answering):
            if exchange is not None:
                exchange.leave()
        self._receiving = None
        if self._answering is not None and self._task is not None:
            # Caller gone → this task is cancelled → the connection to the replica closes → the watchdog stops the run.
            self._cancel(self._task)
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return
        self._fed = len(data)
        if self._in_head and self._has_begun:
            self._seen += data
        else:
            self._seen = data
            self._is_at_start = not self._has_begun
        was_in_head, heads = self._in_head, self._heads
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._decline_upgrade(data[exc.args[0] :])
        except httptools.HttpParserError as exc:
            self._refuse(_refusal_for(exc.__context__))
        else:
            if self._misread is not None:
                self._read_coding(b"".join(self._misread))
            elif not self._in_head:
                self._limit_framing(0 if was_in_head else len(data))
            elif was_in_head and self._heads == heads:
                self._head_size += len(data)
                if self._head_size > self.limits.head_size:
                    self._refuse(_TOO_LARGE)
        if not self._has_begun or not self._in_head:
            self._seen = b""

    def eof_received(self) -> bool:
        """The client will send no more. Whether it still waits for an answer shows when it is sent something."""
        answering = self._answering
        if answering is None or not answering.is_received:
            return False  # closes the connection
        self._parser = None
        if self._receiving is not None:  # a request that will not be whole
            if self._receiving in self._waiting:
                self._waiting.remove(self._receiving)
            self._receiving = None
        (self._waiting[-1] if self._waiting else answering).keep_alive = False
        self._half_closed = HalfClosed()
        self._timer.set(self._loop.time() + self._half_closed.pause)
        return True

    def _look_for_client(self, half_closed: HalfClosed) -> None:
        exchange = self._answering
        if exchange is None or self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        probe = half_closed.next_step(connection, exchange.is_started, exchange.is_http_1_0)
        if probe is None:
            self.transport.abort()
            return
        if probe:
            self.write(probe)
        self._timer.set(self._loop.time() + half_closed.pause)

    def _limit_framing(self, size: int) -> None:
        """Counts bytes of chunk extensions and trailers, of which the parser keeps the latter."""
        if self._had_body or not size:
            self._had_body = False
            self._bodiless = 0
        else:
            self._bodiless += size
            if self._bodiless > self.limits.head_size:
                self._refuse(_ENDLESS)

    def pause_writing(self) -> None:
        self.is_full = True
        self._writable = self._loop.create_future()
        self._write_timer = self._loop.call_later(self.limits.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self.is_full = False
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # The parser's side.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._wants_continue = False
        self._hosts = 0
        self._host = b""
        self._coding = None
        self._length = 0
        self._has_begun = True
        self._head_size = 0
        if not self._is_reserved:  # there, the whole head has to come in time
            self._timer.set(self._loop.time() + self.limits.read_timeout)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer; it could pass for a header that has been checked
        name = name.lower()
        if name in _LOOKED_AT:
            if name == b"host":
                self._hosts += 1
                self._host = value
            elif name == b"content-length":
                self._length = int(value)
            elif name == b"expect":
                self._wants_continue = value.lower() == b"100-continue"
            else:
                self._note_coding(value)
        self._headers.append((name, value))

    def _note_coding(self, value: bytes) -> None:
        if self._coding is not None:
            raise BadRequest(400, "Transfer-Encoding is there more than once")
        if value.strip(b" \t").lower() != b"chunked":
            raise BadRequest(501, "the only transfer coding understood is chunked")
        self._coding = value

    def on_headers_complete(self) -> None:
        parser = self._parser
        verb = parser.get_method()
        # Where this is so, there is one space between the parts, and the protocol is HTTP.
        if not self._is_at_start or not self._seen.startswith(b" HTTP/", len(verb) + 1 + len(self._url)):
            self._check_line(verb)
        self._is_at_start = False  # the next request in this piece begins elsewhere
        version = parser.get_http_version()
        is_http_1_1 = version == "1.1"
        if not is_http_1_1 and version != "1.0":
            check_version(version[0])
            is_http_1_1 = True
        if parser.should_upgrade():
            return  # `_decline_upgrade` comes next
        if self._head_size + self._fed > self.limits.head_size:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > self.limits.head_size:
                raise _Refused(_TOO_LARGE)
        if self._coding is not None:
            if b"\t" in self._coding:
                self._misread = []
                return  # `_read_coding` comes next
            if not is_http_1_1:
                raise BadRequest(400, "Transfer-Encoding is not part of HTTP/1.0")
            self._length = None
        self._in_head = False
        self._heads += 1
        path, query = _split_target(self._url, verb)
        if self._host != self._good_host or self._hosts != 1:
            check_host(self._hosts, self._host.strip(b" \t"), is_http_1_1)
            self._good_host = self._host
        if b"%" in path:
            check_path(path)
        if self._is_reserved and not is_reserved_for(path.decode("latin-1")):
            self.limiter.note_refusal()
            raise _Refused(_TOO_MANY)
        # By position, as it is made for every request: a class takes names in a dictionary.
        exchange = self._receiving = self.exchange(
            self,
            verb.decode("ascii"),
            path,
            query,
            self._headers,
            self._length,
            self._client,
            self._port,
            is_http_1_1 and not self._is_reserved and parser.should_keep_alive(),
            self._wants_continue and is_http_1_1,
            not is_http_1_1,
        )
        if self._answering is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._timer.deadline = None  # it is we who do not read
            self.pause_reading()

    def _check_line(self, method: bytes) -> None:
        """The parser takes `RTSP/1.0` and `ICE/1.0` for HTTP/1.0, and several spaces for one, and says neither. Raises
        BadRequest."""
        line = b"%b %b " % (method, self._url)
        if self._is_at_start:
            is_good = self._seen.lstrip(b"\r\n").startswith(line + b"HTTP/")
        else:
            # Where in the piece it begins the parser does not say either.
            seen = _SPACES.sub(b" ", self._seen)
            is_other = line + b"RTSP/" in seen or line + b"ICE/" in seen
            is_good = line + b"HTTP/" in self._seen and not is_other
        if not is_good:
            raise BadRequest(400, "the request line is malformed")

    def on_body(self, body: bytes) -> None:
        self._had_body = True
        if self._misread is not None:
            self._misread.append(body)
        elif self._receiving is not None:
            self._receiving.feed(body)

    def on_message_complete(self) -> None:
        if self._in_head:
            return  # the parser's view of a request for an upgrade
        self._has_begun = False
        self._in_head = True
        self._head_size = 0
        self._timer.deadline = None
        if self._receiving is not None:
            exchange, self._receiving = self._receiving, None
            exchange.end()
            if exchange.is_gone and self._answering is None:  # it was answered early
                self._timer.set(self._loop.time() + self.limits.idle_timeout)

    # The exchange's side.

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_reading(self) -> None:
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and not self._waiting and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    async def drain(self) -> None:
        if self._writable is not None:
            # Shielded: the task of an earlier answer and this one's may wait for the same.
            await asyncio.shield(self._writable)

    def on_answered(self, exchange: Exchange) -> None:
        self._answering = None
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or self._is_draining:
            self._close(is_sending=not exchange.is_received)
        elif self._waiting:
            self._start(self._waiting.popleft())
            self.resume_reading()
        else:
            self.resume_reading()
            if not self._has_begun:
                self._timer.set(self._loop.time() + self.limits.idle_timeout)

    def on_ended(self, exchange: Exchange) -> None:
        if exchange.task is not None:
            self._server.tasks.discard(exchange.task)

    def cut_off(self, exchange: Exchange) -> None:
        if exchange.is_http_1_0:
            # Its answer ends with the connection, so a clean end would look like a whole answer.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    # The connection limiter's side.

    @property
    def is_idle(self) -> bool:
        return self._answering is None and not self._has_begun

    @property
    def is_answering(self) -> bool:
        return self._answering is not None

    def shed(self) -> None:
        self.transport.close()

    # uvicorn's side.

    def shutdown(self) -> None:
        """No more requests after those that have begun to arrive."""
        self._is_draining = True
        if self._answering is not None:
            self._answering.keep_alive = False
        elif not self._has_begun:
            self.transport.close()

    def _start(self, exchange: Exchange) -> None:
        if self._is_draining and not self._waiting:
            exchange.keep_alive = False
        if not exchange.is_received and (self._timer.deadline is None or self._is_reserved):
            self._timer.set(self._loop.time() + self.limits.read_timeout)
        self._answering = exchange
        task = self._task = exchange.task = self._loop.create_task(exchange.run(self._app))
        self._server.tasks.add(task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        # One that is cancelled before its first step never comes to `on_ended`. No other needs this callback, which
        # takes a turn of the loop of its own.
        task.add_done_callback(self._server.tasks.discard)
        task.cancel()

    def _on_deadline(self) -> None:
        if self._half_closed is not None:
            self._look_for_client(self._half_closed)
        elif self._parser is None or not self._has_begun:
            self.transport.close()
        elif self._receiving is not None and self._receiving.is_gone:
            self.transport.close()  # it has its answer and goes on sending
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, refusal: Refusal, lingers: bool = True) -> None:
        """Reads no further request, and says why if that would not spoil an answer."""
        self._parser = None
        broken, answering = self._receiving, self._answering
        if answering is not None and answering is not broken:
            # An earlier request is in order, and is answered first.
            self._waiting.clear()
            answering.keep_alive = False
            return
        if broken is not None:
            if broken.is_started:
                self.cut_off(broken)
                return
            broken.leave()
            if answering is not None and self._task is not None:
                self._cancel(self._task)
        status, text = refusal
        self.write(
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nX-OpenFaaS-Internal: gateway\r\n"
            b"%bConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            % (status, b"Retry-After: 1\r\n" if refusal is _TOO_MANY else b"", len(text), text)
        )
        self._close(is_sending=lingers)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Reads the present request as if it offered no other protocol; `rest` is what followed its head.

        The parser takes what follows such a head for the other protocol, although it is the request's body.
        """
        if self._parser.get_method() == b"CONNECT":
            self._refuse(_MALFORMED)
            return
        self._read_again([pair for pair in self._headers if pair[0] != b"upgrade"], rest)

    def _read_coding(self, rest: bytes) -> None:
        """Reads the present request with its Transfer-Encoding spelled as the parser knows it.

        Behind a tab, which means nothing, it takes everything that follows for the body.
        """
        coding = (b"transfer-encoding", b"chunked")
        self._read_again([coding if pair[0] == coding[0] else pair for pair in self._headers], rest)

    def _read_again(self, headers: RawHeaders, rest: bytes) -> None:
        """Reads the present request's head with these headers, and `rest`."""
        parser = self._parser
        version = b"1.0" if parser.get_http_version() == "1.0" else b"1.1"
        lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        self._misread = None
        self._parser = _new_parser(self)
        self.data_received(b"%b %b HTTP/%b\r\n%b\r\n%b" % (parser.get_method(), self._url, version, lines, rest))

    def _close(self, is_sending: bool) -> None:
        self._parser = None
        if not is_sending:
            self.transport.close()
            return
        # Closing while the client sends makes its system drop what it has not read yet: the answer.
        self.transport.write_eof()
        self.resume_reading()
        self._timer.set(self._loop.time() + _LINGER)


def _new_parser(connection: ClientConnection) -> Any:
    parser = httptools.HttpRequestParser(connection)
    # Data after a request with `Connection: close` is to be ignored, not to spoil the answer. Version and coding are
    # looked at here, by the rules of the platform's other servers.
    parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_version=True, lenient_transfer_encoding=True)
    return parser


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


def _refusal_for(cause: BaseException | None) -> Refusal:
    if isinstance(cause, _Refused):
        return cause.refusal
    if isinstance(cause, BadRequest):
        return f"{cause.status} {HTTPStatus(cause.status).phrase}".encode(), f"{cause.reason}.\n".encode()
    return _MALFORMED


def _split_target(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target. Raises _Refused for those of other protocols' kind."""
    if not target.startswith(b"/") and (target != b"*" or method != b"OPTIONS"):
        match = _ABSOLUTE.match(target)
        if match is None:
            raise _Refused(_MALFORMED)
        target = target[match.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query
