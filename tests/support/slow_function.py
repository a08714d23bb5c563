"""A function that answers when the test says so."""

from __future__ import annotations

import socket


class SlowFunction:
    """Accepts connections and answers when told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> socket.socket:
        """The next call; it has been received."""
        connection, _ = self.listener.accept()
        connection.settimeout(60)
        assert connection.recv(65536).startswith(b"POST / HTTP/1.1\r\n")
        return connection

    def __enter__(self) -> SlowFunction:
        return self

    def __exit__(self, *args: object) -> None:
        self.listener.close()


def answer(connection: socket.socket) -> None:
    """200 without a body."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
