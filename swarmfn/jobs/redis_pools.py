"""Connections to Redis from an event loop, and pools of them whose callers wait in turn."""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection

from swarmfn.jobs.logging_in import AsyncLogsIn


class Crowded(redis.ConnectionError):
    """All connections were in use for too long. That says nothing about Redis, which was not asked."""


class _PacksScripts(AbstractConnection):
    """Packs calls of scripts in C, as redis-py's blocking connections do: a batch is thousands of words. Other commands
    may hold large bodies, which redis-py does not copy."""

    beginning = 0
    """How often its pool had started again when it was last opened."""

    def pack_command(self, *words: Any) -> list[bytes]:
        return [hiredis.pack_command(words)] if words[0] == "EVALSHA" else super().pack_command(*words)


class TcpConnection(AsyncLogsIn, _PacksScripts, redis.asyncio.Connection):
    """Over TCP."""


class TlsConnection(AsyncLogsIn, _PacksScripts, redis.asyncio.SSLConnection):
    """Over TLS."""


class SocketConnection(AsyncLogsIn, _PacksScripts, redis.asyncio.UnixDomainSocketConnection):
    """Over a socket in the file system."""


class WaitingPool(redis.asyncio.ConnectionPool):
    """Up to `at_most` connections; a caller that finds all in use waits in turn, for `patience` seconds or as long
    as it takes. redis-py's own pool raises an error then, and its blocking one costs every command two locks."""

    def __init__(self, at_most: int, patience: float | None, **options: Any) -> None:
        super().__init__(max_connections=at_most, **options)
        self._room = asyncio.Semaphore(at_most)
        self._patience = patience
        self._beginning = 0
        self._lent: set[AbstractConnection] = set()

    async def get_connection(self, *_: Any, **__: Any) -> _PacksScripts:
        if self._room.locked():
            await self._wait()
        else:
            await self._room.acquire()
        try:
            connection: _PacksScripts = await super().get_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self._room.release()
            raise
        self._lent.add(connection)
        if connection.beginning != self._beginning:
            await self._open_again(connection)
        return connection

    def begin_anew(self) -> None:
        """Each connection is opened again before it is next used: the name may lead to another server now."""
        self._beginning += 1

    async def _open_again(self, connection: _PacksScripts) -> None:
        try:
            await connection.disconnect()
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await self.release(connection)
            raise
        connection.beginning = self._beginning

    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
        finally:
            # One that could not be opened is released before anybody has got it.
            if connection in self._lent:
                self._lent.remove(connection)
                self._room.release()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._room.acquire()
        except TimeoutError as exc:
            raise Crowded(f"all {self.max_connections} connections to Redis were in use") from exc
