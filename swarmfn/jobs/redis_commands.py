"""Commands and scripts sent to Redis, and what a client of the gateway is told when Redis does not take them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from swarmfn.jobs.redis_pools import Crowded
from swarmfn.jobs.scripts import STORE, Script
from swarmfn.wire.errors import QueueUnavailable

Unreachable = (RedisError, OSError, TimeoutError)
"""What a client raises when Redis is away, does not answer, or refuses to write."""


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
