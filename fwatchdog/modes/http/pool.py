"""Connections to the function's server, kept for the next call."""

from __future__ import annotations

import asyncio

from fwatchdog.http.addresses import HttpAddress
from fwatchdog.modes.http.server_connection import ExchangeFailed, ServerConnection

IDLE_TIME = 1.0
"""Seconds an unused connection is kept. Servers close theirs after two (gunicorn) or more, and a call that meets the
close on its way is lost."""

_LOOPBACK = ("127.0.0.1", "::1")


class Pool:
    """Gives the connection used last first, so that no more are kept than are needed."""

    def __init__(self, address: HttpAddress, idle_time: float = IDLE_TIME) -> None:
        self._address = address
        self._idle_time = idle_time
        self._loop = asyncio.get_running_loop()
        self._idle: list[tuple[float, ServerConnection]] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def acquire(self) -> tuple[ServerConnection, bool]:
        """A connection for one exchange, and whether it has been used before. Raises ExchangeFailed."""
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_open:
                return connection, True
            connection.close()
        return await self.connect(), False

    async def connect(self) -> ServerConnection:
        """A new connection. Raises ExchangeFailed."""
        host, port, _ = self._address
        # "localhost" needs no look-up, for which asyncio would start a thread.
        hosts = _LOOPBACK if host == "localhost" else (host,)
        failure: OSError | None = None
        for candidate in hosts:
            try:
                _, connection = await self._loop.create_connection(ServerConnection, candidate, port)
            except OSError as exc:
                failure = failure or exc
            else:
                return connection
        raise ExchangeFailed(f"the function's server cannot be reached: {failure}", is_unanswered=True)

    def release(self, connection: ServerConnection) -> None:
        """Takes back a connection whose exchange is complete."""
        self._idle.append((self._loop.time() + self._idle_time, connection))
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._idle_time, self._close_unused)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for _, connection in self._idle:
            connection.close()
        self._idle.clear()

    def _close_unused(self) -> None:
        now = self._loop.time()
        while self._idle and self._idle[0][0] <= now:
            self._idle.pop(0)[1].close()
        # The oldest is first: connections are given back in the order of time, and taken from the other end.
        self._sweep = self._loop.call_at(self._idle[0][0], self._close_unused) if self._idle else None
