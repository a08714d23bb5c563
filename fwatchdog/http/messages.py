"""A request as its handler sees it, and the response that goes out."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fwatchdog.http.request_bodies import RequestBody
from swarmfn.wire.headers import Headers, first

REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content",
    301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
    307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 410: "Gone", 413: "Content Too Large",
    415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
"""`http.HTTPStatus` has them too; its module costs every replica the import of `email` and `socket`'s friends."""

_BODILESS = frozenset({204, 304})
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class BrokenResponse(Exception):
    """A response that has begun cannot be completed: its client sees the connection break instead of a whole one."""


class Stream(Protocol):
    """A response that is sent as it is produced, instead of being returned as a whole.

    After `begin` the handler still returns a Response when all is written; only its status counts then.
    """

    @property
    def has_begun(self) -> bool: ...

    async def begin(self, status: int, headers: Headers) -> None:
        """Sends the head. With a Content-Length among the headers exactly that much has to be written."""

    async def write(self, data: bytes) -> None:
        """Sends `data`; returns when the client keeps up. Raises BrokenResponse beyond the Content-Length."""


class DroppedStream:
    """Takes the answer to a request that did not come over a connection: only its status is of interest."""

    def __init__(self) -> None:
        self.has_begun = False

    async def begin(self, status: int, headers: Headers) -> None:
        self.has_begun = True

    async def write(self, data: bytes) -> None:
        return


@dataclass(slots=True)
class Request:
    """`target` is the path and query as sent. `length` is None for a chunked body. `stream` is the way to answer
    bit by bit."""

    method: str
    target: str
    headers: Headers
    length: int | None
    body: RequestBody
    stream: Stream = field(default_factory=DroppedStream)

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the `?`, not decoded."""
        return self.target.partition("?")[2]

    @property
    def path(self) -> bytes:
        """The path with its percent escapes decoded."""
        return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), self.raw_path.encode("latin-1"))

    def header(self, name: str) -> str | None:
        """The first value of a header, matched without regard to case."""
        return first(self.headers, name)


@dataclass(slots=True)
class Response:
    """The body is in pieces so that a large one need not be joined. Names and values must be free of line ends."""

    status: int
    headers: Headers
    body: Sequence[bytes] = ()


def text_response(status: int, text: str, headers: Headers | None = None) -> Response:
    """A plain-text answer of the watchdog's own."""
    return Response(status, [("Content-Type", "text/plain; charset=utf-8"), *(headers or [])], (text.encode(),))


def has_body(method: str, status: int) -> bool:
    """Whether a response to `method` with `status` carries its body on the wire."""
    return method != "HEAD" and status not in _BODILESS


def encode_head(response: Response, keep_alive: bool, is_http_1_1: bool) -> bytes:
    """The head's bytes. Content-Length, Connection and Date are this server's to write, whatever the headers say."""
    framing = "" if response.status in _BODILESS else f"Content-Length: {sum(map(len, response.body))}"
    return _head(response.status, response.headers, framing, keep_alive, is_http_1_1)


def encode_stream_head(status: int, headers: Headers, length: int | None, keep_alive: bool, is_http_1_1: bool) -> bytes:
    """The head of a body that follows in pieces: of `length` bytes, or else in chunks, or else until the close."""
    framing = ""
    if status not in _BODILESS and length is not None:
        framing = f"Content-Length: {length}"
    elif status not in _BODILESS and is_http_1_1:
        framing = "Transfer-Encoding: chunked"
    return _head(status, headers, framing, keep_alive, is_http_1_1)


def _head(status: int, headers: Headers, framing: str, keep_alive: bool, is_http_1_1: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _OURS]
    lines.append(f"Date: {_date()}")
    if framing:
        lines.append(framing)
    if not keep_alive:
        lines.append("Connection: close")
    elif not is_http_1_1:
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "date", "upgrade", "trailer"})
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_dated: tuple[int, str] = (0, "")


def _date() -> str:
    """Now, made once a second. Not strftime: its names follow the locale."""
    global _dated
    second = int(time.time())
    if _dated[0] != second:
        _dated = (second, http_date(second))
    return _dated[1]


def http_date(second: int) -> str:
    """A time of the clock in the form that headers have."""
    now = time.gmtime(second)
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"{day}, {now.tm_mday:02} {month} {now.tm_year} {clock} GMT"
