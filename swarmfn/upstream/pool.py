"""Idle connections, by address."""

from __future__ import annotations

import asyncio

from swarmfn.upstream.connection import Connection


class Pool:
    """Keeps up to `max_idle` connections per key for `idle_timeout` seconds, and hands out the latest used."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_timeout: float, max_idle: int) -> None:
        self._loop = loop
        self._idle_timeout = idle_timeout
        self._max_idle = max_idle
        self._idle: dict[str, list[Connection]] = {}  # each oldest first
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, key: str) -> Connection | None:
        """A connection that is open as far as this side knows."""
        idle = self._idle.get(key)
        if not idle:
            return None
        oldest = self._loop.time() - self._idle_timeout
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                if connection.idle_since >= oldest:
                    return connection
                connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Takes over a connection that has finished its exchange."""
        idle = self._idle.setdefault(connection.key, [])
        if len(idle) >= self._max_idle:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._idle_timeout / 2, self._sweep)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        idle = self._idle.get(connection.key)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Closes what is idle."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = self._loop.time() - self._idle_timeout
        for key, idle in list(self._idle.items()):
            while idle and idle[0].idle_since <= oldest:
                idle.pop(0).close()
            if not idle:
                del self._idle[key]
        if self._idle:
            self._sweeper = self._loop.call_later(self._idle_timeout / 2, self._sweep)
