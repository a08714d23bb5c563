"""A small listener inside the network of the platform, for Prometheus and health checks: no credentials asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from swarmfn.exposition import CONTENT_TYPE
from swarmfn.wire.addresses import family_of


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = family_of(host)
        super().__init__((host, port), handler)


class MetricsListener:
    """Serves `/metrics` and `/healthz` from threads of its own until `close()`."""

    def __init__(self, host: str, port: int, exposition: Callable[[], bytes], is_ready: Callable[[], bool]) -> None:
        self._server = _Server(host, port, _handler(exposition, is_ready))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops listening; returns when the thread has ended."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> MetricsListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_metrics(
    port: int,
    exposition: Callable[[], bytes],
    host: str = "0.0.0.0",
    is_ready: Callable[[], bool] = lambda: True,
) -> MetricsListener:
    """Starts listening; port 0 takes a free one. `is_ready` answers /healthz.

    Raises OSError when the port is in use.
    """
    return MetricsListener(host, port, exposition, is_ready)


def _handler(exposition: Callable[[], bytes], is_ready: Callable[[], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds a client may take to send its request

        def do_GET(self) -> None:
            if self.path.partition("?")[0] == "/metrics":
                self._answer(200, CONTENT_TYPE, exposition())
            elif self.path == "/healthz":
                self._answer(*((200, "text/plain", b"OK\n") if is_ready() else (503, "text/plain", b"stopping\n")))
            else:
                self._answer(404, "text/plain", b"there is /metrics and /healthz here.\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not worth a line."""

    return Handler
