"""mode=wsgi: the user's application object, called as PEP 3333 has it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

from fwatchdog.python_worker.lane import Call
from fwatchdog.python_worker.paths import unescaped
from fwatchdog.python_worker.results import BadResult, checked_header, checked_status
from swarmfn.wire.headers import Headers

_SINGLE = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_ExcInfo = tuple[Any, BaseException, Any]


class RequestBody(io.RawIOBase):
    """`wsgi.input`, without its buffer: the request's body as it arrives, and its end as the end of a file."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._call.read())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def readall(self) -> bytes:
        pieces = [bytes(self._rest)]
        while piece := self._call.read():
            pieces.append(piece)
        self._rest = memoryview(b"")
        return b"".join(pieces)


class WsgiApplication:
    """The application; `has_threads` when calls run in several threads at once."""

    warning = ""

    def __init__(self, app: Callable[..., Iterable[bytes]], has_threads: bool) -> None:
        self._app = app
        self._has_threads = has_threads

    def serve(self, call: Call) -> None:
        """Answers one call. Raises BadResult, LaneClosed, and whatever the user's code raises."""
        response = WsgiResponse(call)
        environ = wsgi_environ(call.head, io.BufferedReader(RequestBody(call)), self._has_threads)
        body = self._app(environ, response.start)
        try:
            # As PEP 3333 suggests, what is known to be all gets a Content-Length.
            response.is_single = isinstance(body, list | tuple) and len(body) == 1
            for piece in body:
                response.write(piece)
        finally:
            if (close := getattr(body, "close", None)) is not None:
                close()
        response.end()

    def close(self) -> None: ...


def wsgi_environ(head: Mapping[str, Any], body: BinaryIO, has_threads: bool) -> dict[str, Any]:
    """A request as PEP 3333 has it. `body` ends where the request's does."""
    path, _, query = head["target"].partition("?")
    return {
        **_header_variables(head),
        "REQUEST_METHOD": head["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unescaped(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": has_threads,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _header_variables(head: Mapping[str, Any]) -> dict[str, str]:
    """`HTTP_*`: the values of a repeated header joined, as CGI has it."""
    variables: dict[str, str] = {"SERVER_NAME": "localhost", "SERVER_PORT": "8080"}
    for name, value in head["headers"]:
        lower = name.lower()
        # Two different headers must not become one variable: a proxy may have checked only the one with the dash.
        if "_" in name:
            continue
        key = _SINGLE.get(lower) or "HTTP_" + lower.upper().replace("-", "_")
        if key in variables:
            separator = "; " if lower == "cookie" else ","
            value = f"{variables[key]}{separator}{value}"
        variables[key] = value
        if lower == "host":
            host, found, port = value.rpartition(":")
            if found and port.isdigit():
                variables["SERVER_NAME"], variables["SERVER_PORT"] = host, port
    return variables


class WsgiResponse:
    """start_response, write(), and the frames they become. A response that is complete in one piece is one frame."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._status = 0
        self._headers: Headers = []
        self._length: str | None = None
        self._whole = b""
        self._has_ended = False
        self.is_single = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's start_response."""
        if exc_info is not None and self._call.has_begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._status:
            raise AssertionError("start_response was called twice without exc_info")
        self._status = checked_status(status.partition(" ")[0])
        self._headers = [checked_header(name, value) for name, value in headers]
        lengths = [value for name, value in self._headers if name.lower() == "content-length"]
        self._length = lengths[0] if lengths else None
        return self.write

    def write(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise BadResult(f"a WSGI application must yield bytes, not {type(data).__name__}")
        if not self._status:
            raise BadResult("the WSGI application did not call start_response before it sent its body")
        if self._has_ended:
            raise RuntimeError("the response has ended")
        if self._call.has_begun:
            self._call.piece(data)
        elif self._whole and data:
            raise BadResult("the WSGI application sent more than its Content-Length")
        elif data and self._is_whole(data) and self._call.head["method"] != "HEAD":
            self._whole = data
        elif data:
            self._call.begin(self._status, self._headers, data)

    def _is_whole(self, data: bytes) -> bool:
        return self._length == str(len(data)) or (self._length is None and self.is_single)

    def end(self) -> None:
        if not self._status:
            raise BadResult("the WSGI application did not call start_response")
        # A thread of the application's own may still hold `write`; the lane is the next call's.
        self._has_ended = True
        if self._whole:
            self._call.answer(self._status, self._headers, self._whole)
            return
        if not self._call.has_begun:
            self._call.begin(self._status, self._headers, b"")
        self._call.end()
