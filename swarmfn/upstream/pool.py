"""Idle connections, by address."""

from __future__ import annotations

import asyncio

from swarmfn.upstream.replica_connection import ReplicaConnection

_TICKS = 4


class Pool:
    """Keeps up to `max_idle` connections per key, none longer than `idle_timeout` seconds, and hands out the latest.

    Time passes in ticks of a quarter of `idle_timeout`, so that taking and putting need not look at a clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_timeout: float, max_idle: int) -> None:
        self._loop = loop
        self._interval = idle_timeout / _TICKS
        self._max_idle = max_idle
        self._idle: dict[str, list[ReplicaConnection]] = {}  # each oldest first
        self._tick = 0
        self._ticker: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, key: str) -> ReplicaConnection | None:
        """A connection that is open as far as this side knows."""
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return connection
        return None

    def put(self, connection: ReplicaConnection) -> None:
        """Takes over a connection that has finished its exchange."""
        idle = self._idle.get(connection.key)
        if idle is None:
            idle = self._idle[connection.key] = []
        if len(idle) >= self._max_idle:
            connection.close()
            return
        connection.idle_since = self._tick
        idle.append(connection)
        if self._ticker is None:
            self._ticker = self._loop.call_later(self._interval, self._on_tick)

    def forget(self, connection: ReplicaConnection) -> None:
        """The connection is gone."""
        idle = self._idle.get(connection.key)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Closes what is idle."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def _on_tick(self) -> None:
        self._ticker = None
        self._tick += 1
        # One that was put between two ticks has been idle for up to a tick more than was counted.
        oldest = self._tick - _TICKS + 1
        for key, idle in list(self._idle.items()):
            while idle and idle[0].idle_since < oldest:
                idle.pop(0).close()
            if not idle:
                del self._idle[key]
        if self._idle:
            self._ticker = self._loop.call_later(self._interval, self._on_tick)
