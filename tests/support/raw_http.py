"""An HTTP/1.1 client that sends bytes as they are given and keeps answers as they came."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

PATIENCE = 30.0
"""Seconds after which a test that waits for bytes has failed; no part of any answer's meaning."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Head:
    """A status line and headers, in order; names as they came."""

    version: str
    status: int
    headers: Pairs

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header; a second one fails the test."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


@dataclass(frozen=True)
class Answer(Head):
    body: bytes = field(default=b"")

    @property
    def text(self) -> str:
        return self.body.decode()


class Truncated(Exception):
    """The connection ended before the answer did."""


class RawClient:
    """One connection to `address` (host:port), from `source` if one is named. Use it as a context manager."""

    def __init__(self, address: str, source: str = "") -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection(
            (host, int(port)), timeout=PATIENCE, source_address=(source, 0) if source else None
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, target: str, headers: Pairs | None = None, body: bytes | None = None) -> None:
        """Sends a whole request; a body goes with its Content-Length."""
        self.send(request_bytes(method, target, headers, body))

    def head(self) -> Head:
        """The next status line and headers, informational ones too."""
        version, status = self._line().split(" ")[:2]
        headers = []
        while line := self._line():
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        return Head(version, int(status), headers)

    def answer(self, method: str = "GET") -> Answer:
        """The next whole answer. Raises Truncated when it is cut off."""
        head = self.head()
        return Answer(head.version, head.status, head.headers, b"".join(self.pieces(head, method)))

    def pieces(self, head: Head, method: str = "GET") -> Iterator[bytes]:
        """The body that follows `head`, each piece as soon as it is there."""
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            return
        length = head.header("Content-Length")
        if head.header("Transfer-Encoding") == "chunked":
            yield from self._chunks()
        elif length is not None:
            yield self.exactly(int(length))
        else:
            while piece := self._file.read1(65536):
                yield piece

    def exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise Truncated(f"{len(data)} of {size} bytes came")
        return data

    def rest(self) -> bytes:
        """Everything up to the end of the connection, whichever way it ends."""
        data = b""
        try:
            while piece := self._file.read1(65536):
                data += piece
        except ConnectionError:
            pass
        return data

    def reset(self) -> None:
        """The connection's close will be a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def end(self) -> None:
        """Closes the connection at once."""
        self._file.close()
        self.socket.close()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line(), 16):
            yield self.exactly(size)
            self.exactly(2)
        self._line()

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise Truncated(f"the connection ended after {line!r}")
        return line[:-2].decode("latin-1")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def request_bytes(method: str, target: str, headers: Pairs | None = None, body: bytes | None = None) -> bytes:
    """A request as `RawClient.request` sends it. A Host header is added unless there is one."""
    pairs = list(headers or [])
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", "gateway.test"))
    if body is not None:
        pairs.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + (body or b"")


def chunked(*pieces: bytes) -> bytes:
    """`pieces` as a whole chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
