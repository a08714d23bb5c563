"""Connections to Redis, and calling the scripts over them."""

from __future__ import annotations

from typing import Any, cast

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from swarmfn.jobs.scripts import STORE, Script
from swarmfn.wire.errors import QueueUnavailable

Unreachable = (RedisError, OSError, TimeoutError)
"""What a client raises when Redis is away, does not answer, or refuses to write."""


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, the port being 6379 when it is missing."""
    host, _, port = address.rpartition(":")
    if not host:
        return address, 6379
    return host.strip("[]"), int(port)


class _PacksScripts(AbstractConnection):
    """Packs calls of scripts in C, as redis-py's blocking connections do: a batch is thousands of words. Other commands
    may hold large bodies, which redis-py does not copy."""

    def pack_command(self, *words: Any) -> list[bytes]:
        return [hiredis.pack_command(words)] if words[0] == "EVALSHA" else super().pack_command(*words)


class _Connection(_PacksScripts, redis.asyncio.Connection):
    """Over TCP."""


class _TlsConnection(_PacksScripts, redis.asyncio.SSLConnection):
    """Over TLS."""


class _LocalConnection(_PacksScripts, redis.asyncio.UnixDomainSocketConnection):
    """Over a socket in the file system."""


def connect(address: str, password: str | None) -> redis.asyncio.Redis:
    """A client for an event loop. It opens connections as needed and never sends a command twice on its own."""
    host, port = split_address(address)
    return _asynchronous(_Connection, host=host, port=port, password=password)


def connect_like(client: redis.Redis) -> redis.asyncio.Redis:
    """A client for an event loop, of the same server and database as a blocking one that somebody else made."""
    known = client.get_connection_kwargs()
    login = {key: known.get(key) for key in ("username", "password")} | {"db": known.get("db", 0)}
    if "path" in known:
        return _asynchronous(_LocalConnection, path=known["path"], **login)
    place = {"host": known.get("host", "localhost"), "port": known.get("port", 6379)}
    if not issubclass(client.connection_pool.connection_class, redis.SSLConnection):
        return _asynchronous(_Connection, **place, **login)
    tls = {key: value for key, value in known.items() if key.startswith("ssl_")}
    return _asynchronous(_TlsConnection, **place, **login, **tls)


def _asynchronous(connection_class: type[AbstractConnection], **place: Any) -> redis.asyncio.Redis:
    if "host" in place:
        place["socket_keepalive"] = True
    pool = redis.asyncio.ConnectionPool(
        connection_class=connection_class,
        **place,
        socket_connect_timeout=2.0,
        socket_timeout=5.0,
        retry=AsyncRetry(NoBackoff(), 0),
        health_check_interval=0,
        protocol=2,
        client_name="swarmfn",
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_blocking(address: str, password: str | None) -> redis.Redis:
    """A client for threads, with the same limits."""
    host, port = split_address(address)
    return redis.Redis(
        host=host,
        port=port,
        password=password,
        socket_connect_timeout=2.0,
        socket_timeout=5.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="swarmfn",
    )


async def command(client: redis.asyncio.Redis, *words: Any) -> Any:
    """The reply to one command, bytes as Redis sent them. Raises the client's errors."""
    untyped: Any = client
    return await untyped.execute_command(*words)


async def call(client: redis.asyncio.Redis, script: Script, *arguments: Any) -> Any:
    """The reply of `script`. Raises the client's errors."""
    try:
        return await command(client, "EVALSHA", script.sha, 0, *arguments)
    except NoScriptError:
        # A restarted Redis has forgotten its scripts.
        return await command(client, "EVAL", script.text, 0, *arguments)


async def store(client: redis.asyncio.Redis, key: str, value: bytes, expires: int = 0, channel: str = "") -> None:
    """Sets `key`, also when Redis's memory is full, and publishes the value on `channel` if one is given. Only for
    what calls need to come to their end. Raises the client's errors."""
    words = ("SET", key, value, *(("EX", expires) if expires else ()))
    try:
        await command(client, *words)
        if channel:
            await command(client, "PUBLISH", channel, value)
    except OutOfMemoryError:
        # Not always by the script: that copies the value once more.
        await call(client, STORE, key, value, expires, channel)


def call_blocking(client: redis.Redis, script: Script, *arguments: Any) -> Any:
    """The reply of `script`, from a thread. Raises the client's errors."""
    return cast(Any, client.eval(script.text, 0, *arguments))


def unavailable(exc: BaseException) -> QueueUnavailable:
    """What a client of the gateway is told when Redis failed with `exc`."""
    if isinstance(exc, OutOfMemoryError):
        return refused("OOM")
    return refused(str(exc)) if isinstance(exc, ResponseError) else _unavailable("does not answer")


def refused(answer: str) -> QueueUnavailable:
    """The same, for an error that Redis answered with."""
    return _unavailable("has no memory left to store it" if "OOM" in answer else "refused to store it")


def _unavailable(reason: str) -> QueueUnavailable:
    return QueueUnavailable(f"the queue (Redis) {reason}; nothing was accepted.", "Try again shortly.", retry_after=1.0)
