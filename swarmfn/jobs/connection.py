"""Connections to Redis, and calling the scripts over them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from swarmfn.jobs.logging_in import AsyncLogsIn, OverSocket, OverTcp, OverTls, Passwords
from swarmfn.jobs.scripts import STORE, Script
from swarmfn.wire.errors import QueueUnavailable
from swarmfn.wire.redis_address import RedisAddress, parse_redis_address

Unreachable = (RedisError, OSError, TimeoutError)
"""What a client raises when Redis is away, does not answer, or refuses to write."""


_COMMANDS_AT_ONCE = 32
_TRANSFERS_AT_ONCE = 16
_VITAL_AT_ONCE = 8
_TRANSFER_TIMEOUT = 15.0
_PATIENCE = 30.0
"""Seconds that a client of the gateway waits for a connection; then it is told that Redis is busy."""


class Crowded(redis.ConnectionError):
    """All connections were in use for too long. That says nothing about Redis, which was not asked."""


class _PacksScripts(AbstractConnection):
    """Packs calls of scripts in C, as redis-py's blocking connections do: a batch is thousands of words. Other commands
    may hold large bodies, which redis-py does not copy."""

    beginning = 0
    """How often its pool had started again when it was last opened."""

    def pack_command(self, *words: Any) -> list[bytes]:
        return [hiredis.pack_command(words)] if words[0] == "EVALSHA" else super().pack_command(*words)


class _Connection(AsyncLogsIn, _PacksScripts, redis.asyncio.Connection):
    """Over TCP."""


class _TlsConnection(AsyncLogsIn, _PacksScripts, redis.asyncio.SSLConnection):
    """Over TLS."""


class _LocalConnection(AsyncLogsIn, _PacksScripts, redis.asyncio.UnixDomainSocketConnection):
    """Over a socket in the file system."""


class _WaitingPool(redis.asyncio.ConnectionPool):
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


@dataclass(frozen=True)
class Connections:
    """An event loop's clients of one server, by what they are for, so that none of it waits behind the rest.

    commands: small ones, each of them soon done. transfers: large bodies, a few at a time. vital: what has to be in
    time whatever else goes on, such as renewing leases; only a few tasks of ours use it. Each opens connections as
    needed, lets who finds none free wait, and never sends a command twice on its own.
    """

    commands: redis.asyncio.Redis
    transfers: redis.asyncio.Redis
    vital: redis.asyncio.Redis

    def begin_anew(self) -> None:
        """Call it when the server has become a replica, which refuses writes for as long as a connection lasts: after a
        failover the name leads to another server, and only new connections get there."""
        for client in (self.commands, self.transfers, self.vital):
            pool: Any = client.connection_pool
            pool.begin_anew()

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for client in (self.commands, self.transfers, self.vital):
            await client.aclose()


def connect(address: RedisAddress | str, password: str | Passwords | None) -> Connections:
    """For a gateway, whose clients do not wait for ever. `password` goes before one in the address; Passwords are asked
    for each new connection, and the address's is used while they have none."""
    place, is_tls = _place(address, password)
    kind = _LocalConnection if "path" in place else _TlsConnection if is_tls else _Connection
    return _connections(_PATIENCE, kind, **place)


def _place(address: RedisAddress | str, password: str | Passwords | None) -> tuple[dict[str, Any], bool]:
    """What redis-py calls it, and whether over TLS."""
    passwords = None
    if not isinstance(password, str | None):
        password, passwords = None, password
    at = parse_redis_address(address) if isinstance(address, str) else address
    login: dict[str, Any] = {
        "username": at.username or None,
        "password": password or at.password or None,
        "passwords": passwords,
        "db": at.database,
    }
    if at.path:
        return {"path": at.path, **login}, False
    trust = {"ssl_ca_certs": at.ca_certs} if at.ca_certs else {}
    return {"host": at.host, "port": at.port, **login, **trust}, at.is_tls


def connect_like(client: redis.Redis) -> Connections:
    """For a worker, to the server and database of a blocking client that somebody else made. Who waits for a connection
    waits as long as it takes: a call in flight has nothing better to do."""
    known = client.get_connection_kwargs()
    login = {key: known.get(key) for key in ("username", "password", "passwords")} | {"db": known.get("db", 0)}
    if "path" in known:
        return _connections(None, _LocalConnection, path=known["path"], **login)
    place = {"host": known.get("host", "localhost"), "port": known.get("port", 6379)}
    if not issubclass(client.connection_pool.connection_class, redis.SSLConnection):
        return _connections(None, _Connection, **place, **login)
    tls = {key: value for key, value in known.items() if key.startswith("ssl_")}
    return _connections(None, _TlsConnection, **place, **login, **tls)


def _connections(patience: float | None, connection_class: type[AbstractConnection], **place: Any) -> Connections:
    def client(at_most: int, timeout: float = 5.0) -> redis.asyncio.Redis:
        keepalive = {"socket_keepalive": True} if "host" in place else {}
        pool = _WaitingPool(
            at_most,
            patience,
            connection_class=connection_class,
            **place,
            **keepalive,
            socket_connect_timeout=2.0,
            socket_timeout=timeout,
            retry=AsyncRetry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
            shown_as="swarmfn",
        )
        return redis.asyncio.Redis.from_pool(pool)

    return Connections(client(_COMMANDS_AT_ONCE), client(_TRANSFERS_AT_ONCE, _TRANSFER_TIMEOUT), client(_VITAL_AT_ONCE))


def connect_blocking(address: RedisAddress | str, password: str | Passwords | None) -> redis.Redis:
    """A client for threads, with the same limits and passwords. Who finds all connections in use waits for one."""
    place, is_tls = _place(address, password)
    keepalive = {} if "path" in place else {"socket_keepalive": True}
    pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
        max_connections=_COMMANDS_AT_ONCE,
        timeout=_PATIENCE,
        connection_class=OverSocket if "path" in place else OverTls if is_tls else OverTcp,
        **place,
        **keepalive,
        socket_connect_timeout=2.0,
        socket_timeout=5.0,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        shown_as="swarmfn",
    )
    return redis.Redis.from_pool(pool)


async def command(client: redis.asyncio.Redis, *words: Any) -> Any:
    """The reply to one command, bytes as Redis sent them. Raises the client's errors."""
    untyped: Any = client
    return await untyped.execute_command(*words)


async def call(client: redis.asyncio.Redis, script: Script, items: Iterable[Any] = (), /, **arguments: Any) -> Any:
    """The reply of `script`, given what it declares. Raises the client's errors."""
    words = script.words(items, **arguments)
    try:
        return await command(client, "EVALSHA", script.sha, 0, *words)
    except NoScriptError:
        # A restarted Redis has forgotten its scripts.
        return await command(client, "EVAL", script.text, 0, *words)


async def store(
    client: redis.asyncio.Redis, key: str, value: bytes | memoryview, expires: int = 0, channel: str = ""
) -> None:
    """Sets `key`, also when Redis's memory is full, and publishes the value on `channel` if one is given. Only for
    what calls need to come to their end. Raises the client's errors."""
    words = ("SET", key, value, *(("EX", expires) if expires else ()))
    try:
        await command(client, *words)
        if channel:
            await command(client, "PUBLISH", channel, value)
    except OutOfMemoryError:
        # Not always by the script: that copies the value once more.
        await call(client, STORE, key=key, value=bytes(value), expires=expires, channel=channel)


def call_blocking(client: redis.Redis, script: Script, items: Iterable[Any] = (), /, **arguments: Any) -> Any:
    """The reply of `script`, from a thread. Raises the client's errors."""
    return cast(Any, client.eval(script.text, 0, *script.words(items, **arguments)))


def unavailable(exc: BaseException) -> QueueUnavailable:
    """What a client of the gateway is told when Redis failed with `exc`."""
    if isinstance(exc, OutOfMemoryError):
        return refused("OOM")
    if isinstance(exc, Crowded):
        return _unavailable("is busy with others' requests")
    return refused(str(exc)) if isinstance(exc, ResponseError) else _unavailable("does not answer")


def refused(answer: str) -> QueueUnavailable:
    """The same, for an error that Redis answered with."""
    return _unavailable("has no memory left to store it" if "OOM" in answer else "refused to store it")


def _unavailable(reason: str) -> QueueUnavailable:
    return QueueUnavailable(f"the queue (Redis) {reason}; nothing was accepted.", "Try again shortly.", retry_after=1.0)
