"""A name that leads elsewhere after a while, as that of a Redis with a replica does."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class Redirector:
    """Connections to `port` go to the `target` of the moment in which they are made, and stay there."""

    def __init__(self) -> None:
        self.target = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept)
        self._pumps: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._sockets.append(far)
            for one, other in ((near, far), (far, near)):
                pump = threading.Thread(target=_pump, args=(one, other))
                self._pumps.append(pump)
                pump.start()

    def __enter__(self) -> Redirector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join()
        for end in self._sockets:
            end.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
