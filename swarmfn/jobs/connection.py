"""Connections to Redis, and calling the scripts over them."""

from __future__ import annotations

from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from swarmfn.jobs.scripts import Script
from swarmfn.wire.errors import QueueUnavailable

Unreachable = (RedisError, OSError, TimeoutError)
"""What a client raises when Redis is away, does not answer, or refuses to write."""


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, the port being 6379 when it is missing."""
    host, _, port = address.rpartition(":")
    if not host:
        return address, 6379
    return host.strip("[]"), int(port)


def connect(address: str, password: str | None) -> redis.asyncio.Redis:
    """A client for an event loop. It opens connections as needed and never sends a command twice on its own."""
    host, port = split_address(address)
    return _asynchronous(host=host, port=port, password=password)


def connect_like(client: redis.Redis) -> redis.asyncio.Redis:
    """A client for an event loop, of the same server and database as a blocking one that somebody else made."""
    known = client.get_connection_kwargs()
    if "path" in known:
        place = {"unix_socket_path": known["path"]}
    else:
        place = {"host": known.get("host", "localhost"), "port": known.get("port", 6379)}
    if issubclass(client.connection_pool.connection_class, redis.SSLConnection):
        place |= {"ssl": True, **{key: value for key, value in known.items() if key.startswith("ssl_")}}
    login = {key: known.get(key) for key in ("username", "password")}
    return _asynchronous(**place, **login, db=known.get("db", 0))


def _asynchronous(**place: Any) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(
        **place,
        socket_connect_timeout=2.0,
        socket_timeout=5.0,
        socket_keepalive=True,
        retry=AsyncRetry(NoBackoff(), 0),
        health_check_interval=0,
        protocol=2,
    )


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
