"""A large request body on its way to Redis, mostly in pieces, so that nobody has to hold it whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio

from swarmfn.jobs import keys
from swarmfn.jobs.redis_commands import Unreachable, command, unavailable
from swarmfn.wire.call_ids import new_call_id
from swarmfn.wire.errors import QueueUnavailable

_READ_AT_ONCE = 1 << 20

_dropping: set[asyncio.Task[None]] = set()


class Upload:
    """A body under a key of its own, until `Submissions.submit` gives it to a call; its len() is what is there of it.

    As a context manager it is dropped when the block fails. One whose sender has died expires `ttl` seconds after its
    last piece.
    """

    def __init__(self, client: redis.asyncio.Redis, call_id: str, ttl: int) -> None:
        self.key = keys.upload(call_id, new_call_id())
        self._client = client
        self._ttl = ttl
        self._size = 0

    def __len__(self) -> int:
        return self._size

    async def append(self, piece: bytes) -> None:
        """Returns once Redis has it. Raises QueueUnavailable; then the body is of no use any more."""
        try:
            size = await (self._add(piece) if self._size else self._begin(piece))
        except Unreachable as exc:
            raise unavailable(exc) from exc
        self._size += len(piece)
        if size != self._size:
            raise _gone()

    async def _begin(self, piece: bytes) -> int:
        await self._client.set(self.key, piece, ex=self._ttl)
        return len(piece)

    async def _add(self, piece: bytes) -> int:
        # A transaction: no instant at which the key is there without an end.
        pipeline: Any = self._client.pipeline(transaction=True)
        pipeline.append(self.key, piece)
        pipeline.expire(self.key, self._ttl)
        size, _ = await pipeline.execute()
        return int(size)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What is there, read again. Raises QueueUnavailable."""
        for start in range(0, self._size, _READ_AT_ONCE):
            end = min(start + _READ_AT_ONCE, self._size)
            try:
                piece = await command(self._client, "GETRANGE", self.key, start, end - 1)
            except Unreachable as exc:
                raise unavailable(exc) from exc
            if len(piece) != end - start:
                raise _gone()
            yield piece

    def drop(self) -> None:
        """Takes it out of Redis, unless a call has it. Nobody waits for that: a Redis that does not answer lets it
        expire."""
        task = asyncio.get_running_loop().create_task(self._drop())
        _dropping.add(task)
        task.add_done_callback(_dropping.discard)

    async def remove(self) -> None:
        """The same, at once. Raises QueueUnavailable."""
        try:
            await command(self._client, "UNLINK", self.key)
        except Unreachable as exc:
            raise unavailable(exc) from exc

    async def _drop(self) -> None:
        with contextlib.suppress(QueueUnavailable):
            await self.remove()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.drop()


def _gone() -> QueueUnavailable:
    return QueueUnavailable(
        "the queue (Redis) has lost a part of the body; nothing was accepted.", "Send it again.", retry_after=1.0
    )
