"""A server that follows a script byte by byte: what real HTTP servers never do, but broken ones will."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """The head of the next request; b"" when the client has closed instead."""
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                raise
        except ConnectionError:
            pass
        return b""

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request; (b"", b"") when the client has closed instead."""
        head = await self.head()
        if re.search(rb"\r\ntransfer-encoding: chunked\r\n", head, re.IGNORECASE):
            return head, await self._chunked()
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head, re.IGNORECASE)
        return head, await self._reader.readexactly(int(length[1])) if length else b""

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes as they are; b"" at the end."""
        return await self._reader.read(size)

    async def send(self, data: bytes) -> None:
        """Writes `data` and waits while the client does not take it; ConnectionError once it is gone."""
        if self._writer.transport.is_closing():  # uvloop's would raise RuntimeError
            raise ConnectionResetError("the client is gone")
        self._writer.write(data)
        await self._writer.drain()

    async def closed(self) -> None:
        """Returns when the client has closed the connection, whatever it sends before."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def end(self) -> None:
        """Says that nothing more will be sent, and goes on listening."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Cuts the connection with a TCP reset."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _chunked(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        assert await self._reader.readexactly(2) == b"\r\n"
        return body


class ScriptedServer:
    """Runs `script` for each connection, on the running loop; the connection is closed at the script's end.

    Leaving the `async with` block cancels scripts that still run, and raises what a script raised.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        """Connections so far."""
        self.finished = 0
        """Scripts that came to their end."""
        self._script = script
        self._host = host
        self._tls = tls
        self._running: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def address(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._script(Peer(reader, writer))
            self.finished += 1
        except asyncio.CancelledError:
            pass  # the test is over; a stream's task must not end as cancelled
        except Exception as exc:
            self._failures.append(exc)
        finally:
            self._running.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._server.wait_closed()
        if self._failures and exc is None:
            raise self._failures[0]


async def eventually(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Returns once `condition()` is true; meanwhile the loop runs."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s without success")
        await asyncio.sleep(0.002)
