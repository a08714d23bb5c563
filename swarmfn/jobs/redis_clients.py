"""Clients of Redis: an event loop's, by what they are for, and one for threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from swarmfn.jobs.logging_in import OverSocket, OverTcp, OverTls, Passwords
from swarmfn.jobs.redis_pools import SocketConnection, TcpConnection, TlsConnection, WaitingPool
from swarmfn.wire.redis_address import RedisAddress, parse_redis_address

_COMMANDS_AT_ONCE = 32
_TRANSFERS_AT_ONCE = 16
_VITAL_AT_ONCE = 8
_TRANSFER_TIMEOUT = 15.0
_PATIENCE = 30.0
"""Seconds that a client of the gateway waits for a connection; then it is told that Redis is busy."""


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
    kind = SocketConnection if "path" in place else TlsConnection if is_tls else TcpConnection
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
        return _connections(None, SocketConnection, path=known["path"], **login)
    place = {"host": known.get("host", "localhost"), "port": known.get("port", 6379)}
    if not issubclass(client.connection_pool.connection_class, redis.SSLConnection):
        return _connections(None, TcpConnection, **place, **login)
    tls = {key: value for key, value in known.items() if key.startswith("ssl_")}
    return _connections(None, TlsConnection, **place, **login, **tls)


def _connections(patience: float | None, connection_class: type[AbstractConnection], **place: Any) -> Connections:
    def client(at_most: int, timeout: float = 5.0) -> redis.asyncio.Redis:
        keepalive = {"socket_keepalive": True} if "host" in place else {}
        pool = WaitingPool(
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
