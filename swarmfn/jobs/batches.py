"""Group commit: what is asked for while one round trip to Redis is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class Batcher(Generic[Item, Reply]):
    """Collects items and hands them to `flush` together, one batch at a time, in the order they came.

    `flush` takes a batch and returns one reply for each item. When it raises, everyone in that batch sees the error.
    `weigh` gives an item's size in bytes; a batch holds at most `max_items` items and about `max_bytes` bytes.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]],
        weigh: Callable[[Item], int],
        max_items: int = 128,
        max_bytes: int = 1 << 20,
    ) -> None:
        self._flush = flush
        self._weigh = weigh
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._waiting: list[tuple[Item, asyncio.Future[Reply]]] = []
        self._running: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Reply]:
        """A future of the reply to `item`."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            # The task starts in the next turn of the loop: everything else this turn asks for comes along.
            self._running = asyncio.get_running_loop().create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                await self._commit(batch)
        finally:
            self._running = None

    def _take(self) -> list[tuple[Item, asyncio.Future[Reply]]]:
        taken, size = 0, 0
        for item, _ in self._waiting[: self._max_items]:
            size += self._weigh(item)
            if taken and size > self._max_bytes:
                break
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch

    async def _commit(self, batch: list[tuple[Item, asyncio.Future[Reply]]]) -> None:
        try:
            replies = await self._flush([item for item, _ in batch])
        except Exception as exc:
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), reply in zip(batch, replies, strict=True):
            if not future.done():
                future.set_result(reply)
