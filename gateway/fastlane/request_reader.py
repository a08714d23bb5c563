"""Reads a connection's requests with httptools, within limits of size and time."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar, Protocol

import httptools

from gateway.fastlane.exchange import OVER, Connection, Exchange
from gateway.fastlane.refusals import ENDLESS, MALFORMED, TOO_LARGE, Refusal, Refused, refusal_for
from gateway.fastlane.request_lines import check_line, split_target
from gateway.invoke.incoming import RawHeaders
from gateway.request_limits import RequestLimits
from swarmfn.upstream.deadlines import DeadlineTimer
from swarmfn.wire.request_heads import BadRequest, check_host, check_path, check_version

_LOOKED_AT = frozenset({b"content-length", b"expect", b"host", b"transfer-encoding"})


class Reading(Enum):
    """How far the present request has come."""

    NOTHING = 1
    HEAD = 2
    MISREAD = 3
    """Its head has to be read again, spelled differently; what follows it is kept until then."""
    BODY = 4


# An enum takes as long to look up a name as Python takes for a call of a function.
NOTHING, HEAD, MISREAD, BODY = Reading


class Requested(Connection, Protocol):
    """The client's connection, as its reader uses it; see Exchange, which the reader makes."""

    exchange: ClassVar[type[Exchange]]
    client: str
    port: int

    def on_request(self, exchange: Exchange) -> None:
        """The head is there. May raise Refused."""

    def on_late_end(self) -> None:
        """The rest has come of a request that was answered before."""


class RequestReader:
    """`timer` is set to when the present request has to be here; `is_reserved`: it runs already for the first one, and
    is not set again for its head. `clock` is the timer's."""

    __slots__ = (
        "_bodiless",
        "_clock",
        "_coding",
        "_connection",
        "_fed",
        "_good_host",
        "_had_body",
        "_head_size",
        "_headers",
        "_heads",
        "_host",
        "_hosts",
        "_is_at_start",
        "_is_reserved",
        "_kept",
        "_length",
        "_limits",
        "_parser",
        "_seen",
        "_timer",
        "_url",
        "_wants_continue",
        "reading",
        "receiving",
    )

    def __init__(
        self,
        connection: Requested,
        limits: RequestLimits,
        timer: DeadlineTimer,
        clock: Callable[[], float],
        is_reserved: bool,
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._timer = timer
        self._clock = clock
        self._is_reserved = is_reserved
        self._parser: Any = _new_parser(self)
        self.reading = NOTHING
        self.receiving: Exchange | None = None
        """The request whose body is being read."""
        self._url = b""
        self._headers: RawHeaders = []
        self._wants_continue = False
        self._hosts = 0
        self._host = b""
        self._good_host: bytes | None = None  # the last one, which mostly comes again
        self._coding: bytes | None = None  # as it was spelled
        self._length: int | None = 0
        self._kept: list[bytes] = []  # what follows a head that must be read again
        self._heads = 0
        self._head_size = 0
        self._fed = 0
        self._seen = b""  # of the present piece, or of all that the present head has come in
        self._is_at_start = True  # a request begins where that does
        self._had_body = False
        self._bodiless = 0  # bytes of a request in a row that are not part of its body

    def feed(self, data: bytes) -> Refusal | None:
        """What the client has sent. A refusal says that nothing more can be read."""
        before, heads = self.reading, self._heads
        self._fed = len(data)
        if before is HEAD:
            self._seen += data
        else:
            self._seen = data
            self._is_at_start = before is NOTHING
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            return self._decline_upgrade(data[exc.args[0] :])
        except httptools.HttpParserError as exc:
            return refusal_for(exc.__context__)
        reading = self.reading
        if reading is MISREAD:
            return self._read_coding(b"".join(self._kept))
        if reading is not HEAD:
            self._seen = b""
        if reading is BODY:
            return self._limit_framing(len(data) if before is BODY else 0)
        if before is not BODY and self._heads == heads:
            self._head_size += len(data)
            if self._head_size > self._limits.head_size:
                return TOO_LARGE
        return None

    def _limit_framing(self, size: int) -> Refusal | None:
        """Counts bytes of chunk extensions and trailers, of which the parser keeps the latter."""
        if self._had_body or not size:
            self._had_body = False
            self._bodiless = 0
            return None
        self._bodiless += size
        return ENDLESS if self._bodiless > self._limits.head_size else None

    def stop(self) -> None:
        """Nothing is fed any more."""
        self._parser = None  # it holds methods of this object

    # The parser's side.

    def on_message_begin(self) -> None:
        self.reading = HEAD
        self._url = b""
        self._headers = []
        self._wants_continue = False
        self._hosts = 0
        self._host = b""
        self._coding = None
        self._length = 0
        self._head_size = 0
        if not self._is_reserved:  # there, the whole head has to come in time
            self._timer.set(self._clock() + self._limits.read_timeout)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading is BODY:
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
            check_line(verb, self._url, self._seen, self._is_at_start)
        self._is_at_start = False  # the next request in this piece begins elsewhere
        version = parser.get_http_version()
        is_http_1_1 = version == "1.1"
        if not is_http_1_1 and version != "1.0":
            check_version(version[0])
            is_http_1_1 = True
        if parser.should_upgrade():
            return  # `_decline_upgrade` comes next
        if self._head_size + self._fed > self._limits.head_size:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > self._limits.head_size:
                raise Refused(TOO_LARGE)
        if self._coding is not None:
            if b"\t" in self._coding:
                self.reading = MISREAD
                self._kept = []
                return  # `_read_coding` comes next
            if not is_http_1_1:
                raise BadRequest(400, "Transfer-Encoding is not part of HTTP/1.0")
            self._length = None
        self.reading = BODY
        self._heads += 1
        path, query = split_target(self._url, verb)
        if self._host != self._good_host or self._hosts != 1:
            check_host(self._hosts, self._host.strip(b" \t"), is_http_1_1)
            self._good_host = self._host
        if b"%" in path:
            check_path(path)
        connection = self._connection
        # By position, as it is made for every request: a class takes names in a dictionary.
        exchange = connection.exchange(
            connection,
            verb.decode("ascii"),
            path,
            query,
            self._headers,
            self._length,
            connection.client,
            connection.port,
            is_http_1_1 and parser.should_keep_alive(),
            self._wants_continue and is_http_1_1,
            is_http_1_1,
        )
        connection.on_request(exchange)
        self.receiving = exchange

    def on_body(self, body: bytes) -> None:
        self._had_body = True
        if self.receiving is not None:
            self.receiving.feed(body)
        elif self.reading is MISREAD:
            self._kept.append(body)

    def on_message_complete(self) -> None:
        if self.reading is not BODY:
            return  # the parser's view of a request for an upgrade
        self.reading = NOTHING
        self._head_size = 0
        self._timer.deadline = None
        exchange, self.receiving = self.receiving, None
        if exchange is not None:
            exchange.end()
            if exchange.progress is OVER:
                self._connection.on_late_end()

    # What the parser reads differently from what is meant.

    def _decline_upgrade(self, rest: bytes) -> Refusal | None:
        """Reads the present request as if it offered no other protocol; `rest` is what followed its head.

        The parser takes what follows such a head for the other protocol, although it is the request's body.
        """
        if self._parser.get_method() == b"CONNECT":
            return MALFORMED
        return self._read_again([pair for pair in self._headers if pair[0] != b"upgrade"], rest)

    def _read_coding(self, rest: bytes) -> Refusal | None:
        """Reads the present request with its Transfer-Encoding spelled as the parser knows it.

        Behind a tab, which means nothing, it takes everything that follows for the body.
        """
        coding = (b"transfer-encoding", b"chunked")
        return self._read_again([coding if pair[0] == coding[0] else pair for pair in self._headers], rest)

    def _read_again(self, headers: RawHeaders, rest: bytes) -> Refusal | None:
        """Reads the present request's head with these headers, and `rest`."""
        parser = self._parser
        version = b"1.0" if parser.get_http_version() == "1.0" else b"1.1"
        lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        self.reading = NOTHING
        self._parser = _new_parser(self)
        return self.feed(b"%b %b HTTP/%b\r\n%b\r\n%b" % (parser.get_method(), self._url, version, lines, rest))


def _new_parser(reader: RequestReader) -> Any:
    parser = httptools.HttpRequestParser(reader)
    # Data after a request with `Connection: close` is to be ignored, not to spoil the answer. Version and coding are
    # looked at here, by the rules of the platform's other servers.
    parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_version=True, lenient_transfer_encoding=True)
    return parser
