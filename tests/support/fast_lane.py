"""A connection of the fast lane with a client that the test speaks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from uvicorn.server import ServerState

from gateway.connection_limiter import ConnectionLimiter
from gateway.fastlane.client_connection import client_connection
from gateway.fastlane.exchange import App
from gateway.request_limits import RequestLimits

Talking = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def talk(app: App, talking: Talking, read_timeout: float = 60) -> bytes:
    """What a client receives that does `talking`."""

    async def scenario() -> bytes:
        kind = client_connection(RequestLimits(read_timeout, 60), ConnectionLimiter(10, 10))
        config: Any = SimpleNamespace(loaded_app=app)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: kind(config, ServerState(), {}), "127.0.0.1", 0)
        async with server, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await talking(reader, writer)
            finally:
                writer.close()

    return asyncio.run(scenario())


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the connection's end, whatever kind of end that is."""
    received = b""
    try:
        while piece := await reader.read(65536):
            received += piece
    except ConnectionError:
        pass
    return received
