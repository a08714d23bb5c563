"""Small real HTTP peers and clients for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True)
class Received:
    """One request as the server saw it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, matched without regard to case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Answer = tuple[int, list[tuple[str, str]], bytes]


def ok(request: Received) -> Answer:
    return 200, [], b""


class RecordingServer:
    """An HTTP server on a loopback port that notes every request in `received` and answers with `answer(request)`.

    Use it as a context manager. It understands requests with Content-Length and chunked ones.
    """

    def __init__(self, answer: Callable[[Received], Answer] = ok, port: int = 0) -> None:
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", port), _handler(self.received, answer))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/"

    def __enter__(self) -> RecordingServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Does not wait for connections that clients keep open."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512  # a burst of connections must not wait for SYN retries

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of many tests."""


def _handler(received: list[Received], answer: Callable[[Received], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            request = Received(self.command, self.path, list(self.headers.items()), self._body())
            received.append(request)
            status, headers, body = answer(request)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve  # noqa: N815, the base's names

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(body)

        def log_message(self, *args: object) -> None:
            """Tests look at `received` instead."""

    return Handler


def accepts_connections(port: int) -> bool:
    """Whether something listens on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
