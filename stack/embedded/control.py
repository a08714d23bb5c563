"""The supervisor's unix socket: one JSON line asks, one JSON line answers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAME = "control.sock"
Answer = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class SupervisorGone(Exception):
    """No supervisor answers."""


@contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    """A path to the socket that fits into the 107 bytes a socket's address has, however long the directory's is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)


def listen(directory: Path) -> socket.socket:
    """A listening socket in `directory`, in place of a dead supervisor's."""
    (directory / _NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    with _short_path(directory) as path:
        listener.bind(path)
    listener.listen(16)
    return listener


class ControlServer:
    """Answers requests on a listening socket until it is closed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._open: set[asyncio.Task[None] | None] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._connection, sock=listener, limit=2**20)

    async def close(self) -> None:
        """Ends it once the replies under way are written, such as the one to the request that asked for the end."""
        if self._server is not None:
            self._server.close()
        if under_way := [task for task in self._open if task is not None]:
            await asyncio.wait(under_way, timeout=2)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        try:
            if line := await reader.readline():
                writer.write(json.dumps(await _reply(line, self._answer)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()
            self._open.discard(task)


async def _reply(line: bytes, answer: Answer) -> dict[str, Any]:
    try:
        return await answer(json.loads(line))
    except (ValueError, KeyError, TypeError) as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}


def ask(directory: Path, request: Mapping[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """The supervisor's answer. Raises SupervisorGone when none listens, or it ends or hangs without one."""
    connection = socket.socket(socket.AF_UNIX)
    with connection:
        connection.settimeout(timeout)
        try:
            with _short_path(directory) as path:
                connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except OSError as exc:
            raise SupervisorGone(str(exc)) from exc
    if not line:
        raise SupervisorGone("it ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
