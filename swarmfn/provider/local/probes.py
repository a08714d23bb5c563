"""Asking a replica whether it is healthy, without waiting for the answer."""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Callable

_REQUEST = b"GET /_/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
HEALTHY = "healthy"


class Probe:
    """One `GET /_/health` on its way, driven by `selector`, whose events go to `on_ready`.

    `done` is called once: with HEALTHY, or with what was wrong in words that complete "the health check …". Not called
    after `close`.
    """

    def __init__(
        self, port: int, selector: selectors.BaseSelector, deadline: float, done: Callable[[str], None]
    ) -> None:
        self.deadline = deadline
        self._selector = selector
        self._done = done
        self._received = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.connect_ex(("127.0.0.1", port))
        selector.register(self._socket, selectors.EVENT_WRITE, self.on_ready)

    def on_ready(self, events: int) -> None:
        if self._socket.fileno() < 0:
            return  # Closed by an earlier event of the same round.
        try:
            if events & selectors.EVENT_WRITE:
                self._socket.sendall(_REQUEST)
                self._selector.modify(self._socket, selectors.EVENT_READ, self.on_ready)
            else:
                self._receive()
        except ConnectionRefusedError:
            self._finish("was refused")
        except OSError as exc:
            self._finish(f"failed: {exc.strerror}")

    def time_out(self) -> None:
        self._finish("got no answer")

    def close(self) -> None:
        """Gives up, if it is still on its way."""
        if self._socket.fileno() >= 0:
            self._selector.unregister(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(4096)
        self._received += data
        if match := _STATUS_LINE.match(self._received):
            status = int(match.group(1))
            self._finish(HEALTHY if status == 200 else f"answered {status}")
        elif not data:
            self._finish("got no answer")
        elif len(self._received) > 64:
            self._finish("got an answer that is not HTTP")

    def _finish(self, result: str) -> None:
        self.close()
        self._done(result)
