"""A replica whose answers the test makes, byte by byte, under a gateway that takes it for any other.

The gateway adopts it as one that an earlier gateway has left running: its process is a placeholder, its port is served
by the test.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Queue
from types import TracebackType

from swarmfn.process_identity import identify_child
from swarmfn.provider.local.decisions import Phase
from swarmfn.provider.local.definitions import Definition, DefinitionStore
from swarmfn.provider.local.function_programs import Program
from swarmfn.provider.local.records import Record, RecordStore
from swarmfn.provider.local.state_dir import StateDir
from swarmfn.wire.functions import FunctionSpec
from tests.support.processes import ChildProcess
from tests.support.raw_http import PATIENCE

ByteHeaders = list[tuple[bytes, bytes]]


class Exchange:
    """One request as the replica got it, and the way to answer it."""

    def __init__(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        self.head = head
        self._connection = connection
        self._unread = rest
        line, *lines = head[:-4].split(b"\r\n")
        method, target, _ = line.split(b" ")
        self.method, self.target = method.decode(), target.decode("latin-1")
        self.headers: ByteHeaders = [(name, value) for name, value in (one.split(b": ", 1) for one in lines)]

    def all(self, name: str) -> list[str]:
        """The values of header `name` as they came."""
        return [value.decode("latin-1") for key, value in self.headers if key.decode().lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header; a second one fails the test."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def piece(self) -> bytes:
        """What comes next of the body as it is on the wire; b"" at the connection's end."""
        data, self._unread = self._unread, b""
        return data or self._connection.recv(1 << 20)

    def body(self) -> bytes:
        """The whole body, chunks put together. Waits for it."""
        if self.header("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size + 2)[:-2]
            self._until(b"\r\n")
            return body
        return self._exactly(int(self.header("Content-Length") or 0))

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def answer(self, status: int = 200, headers: ByteHeaders | None = None, body: bytes = b"") -> None:
        """A whole answer. A Content-Length is added unless the headers say something about it."""
        pairs = list(headers or [])
        if not any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in pairs):
            pairs.append((b"Content-Length", b"%d" % len(body)))
        self.send(
            b"HTTP/1.1 %d Staged\r\n" % status + b"".join(b"%b: %b\r\n" % pair for pair in pairs) + b"\r\n" + body
        )

    def begin(self, *headers: tuple[bytes, bytes]) -> None:
        """The head of an answer in chunks, to be sent with `chunk` and ended with `chunk(b"")`."""
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
        self.send(b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n")

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def wait_for_end(self) -> None:
        """Returns when the gateway has closed the connection; the scene fails when it does not."""
        try:
            while self.piece():
                pass
        except ConnectionError:
            pass
        except TimeoutError as exc:  # an OSError, like the end of a connection, and no end of this one
            raise AssertionError("the gateway does not end the connection") from exc

    def reset(self) -> None:
        """Cuts the connection, as a process that is killed does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def _exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            data = self.piece()
            if not data:
                raise ConnectionError(f"{missing} of {size} bytes did not come")
            parts.append(data[:missing])
            self._unread = data[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _until(self, end: bytes) -> bytes:
        data = b""
        while end not in data:
            piece = self.piece()
            if not piece:
                raise ConnectionError(f"the connection ended after {data!r}")
            data += piece
        line, _, self._unread = data.partition(end)
        return line


Play = Callable[[Exchange], None]


def echo(exchange: Exchange) -> None:
    """Answers with the request's body."""
    exchange.answer(body=exchange.body())


class StagedReplica:
    """Listens on a loopback port and lets `play` answer each request. Requests are noted in `received`.

    `exchange()` hands out the next one that `play` has begun with. Leaving the `with` block raises what `play` raised.
    """

    def __init__(self, log_path: Path) -> None:
        self.play: Play = echo
        self.received: Queue[Exchange] = Queue()
        # It ends by itself when this process does, however that may be.
        self.placeholder = ChildProcess(["tail", f"--pid={os.getpid()}", "-f", "/dev/null"], log_path)
        self._failures: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def exchange(self) -> Exchange:
        return self.received.get(timeout=PATIENCE)

    def reset(self) -> None:
        """As at the beginning; what earlier tests noted is forgotten."""
        self.play = echo
        while not self.received.empty():
            self.received.get()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Meanwhile nothing listens on the port, and no connection is open."""
        self._close()
        try:
            yield
        finally:
            self._listener = self._listen(self.port)

    def check(self) -> None:
        """Raises what a `play` raised, other than a lost connection."""
        if self._failures:
            raise self._failures.pop()

    def close(self) -> None:
        self._close()
        self.placeholder.kill()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._start(lambda: self._accept(listener))
        return listener

    def _close(self) -> None:
        # Closing alone does not wake a thread that waits in accept or recv.
        for connection in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(connection)
                self._start(functools.partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, end, rest = data.partition(b"\r\n\r\n")
                exchange = Exchange(connection, head + end, rest)
                self._perform(exchange)
                data = exchange._unread
        except OSError:
            pass  # the gateway ended the connection, or the test did
        except BaseException as exc:
            self._failures.append(exc)
        finally:
            self._open.discard(connection)
            connection.close()

    def _perform(self, exchange: Exchange) -> None:
        if exchange.target == "/_/health":
            exchange.answer(body=b"OK")
            return
        play = self.play
        self.received.put(exchange)
        play(exchange)

    def __enter__(self) -> StagedReplica:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def leave_running(
    state_dir: Path, name: str, replicas: Sequence[StagedReplica], annotations: Mapping[str, str] | None = None
) -> None:
    """Makes it look as if an earlier gateway had deployed function `name` and left these replicas of it running."""
    state = StateDir(state_dir)
    spec = FunctionSpec(name, "staged/image:1", annotations=annotations or {})
    definition = Definition(spec, Program(command="cat"), len(replicas), "2026-01-01T00:00:00Z")
    DefinitionStore(state).save(definition)
    for number, replica in enumerate(replicas, 1):
        record = Record(
            id=f"staged-{name}-{number}",
            name=name,
            number=number,
            process=identify_child(replica.placeholder.pid),
            port=replica.port,
            revision=definition.revision,
            venv="",
            drain=1.0,
            phase=Phase.READY,
        )
        RecordStore(state).save(record)
