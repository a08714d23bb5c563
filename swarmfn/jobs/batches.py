"""Group commit: what is asked for while one round trip to Redis is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class Batcher(Generic[Item, Reply]):
    """Collects items and hands them to `flush` together, one batch at a time, in the order they came.

    `flush` takes a batch and returns one reply for each item. When it raises, everyone in that batch sees the error,
    and so does everyone who waits for a turn: behind a Redis that hangs, each batch would take a time limit of its own.
    `weigh` gives an item's size in bytes; a batch holds at most `max_items` items and about `max_bytes` bytes. An item
    whose waiter was cancelled is flushed anyway.
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
        self._waiting: deque[tuple[Item, asyncio.Future[Reply]]] = deque()
        self._running: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Reply]:
        """A future of the reply to `item`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append((item, future))
        if self._running is None:
            # The task starts in the next turn of the loop: everything else this turn asks for comes along.
            self._running = loop.create_task(self._run())
        return future

    async def _run(self) -> None:
        batch: list[tuple[Item, asyncio.Future[Reply]]] = []
        try:
            while self._waiting:
                batch = self._take()
                await self._commit(batch)
        finally:
            # Something is left only when this task was cancelled: nobody must wait for what will not come.
            for _, future in [*batch, *self._waiting]:
                future.cancel()
            self._waiting.clear()
            self._running = None

    def _take(self) -> list[tuple[Item, asyncio.Future[Reply]]]:
        batch: list[tuple[Item, asyncio.Future[Reply]]] = []
        size = 0
        while self._waiting and len(batch) < self._max_items:
            size += self._weigh(self._waiting[0][0])
            if batch and size > self._max_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: list[tuple[Item, asyncio.Future[Reply]]]) -> None:
        try:
            replies = await self._flush([item for item, _ in batch])
            if len(replies) != len(batch):
                raise RuntimeError(f"{len(replies)} replies to a batch of {len(batch)}")
        except Exception as exc:
            waiting, self._waiting = self._waiting, deque()
            for _, future in (*batch, *waiting):
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), reply in zip(batch, replies, strict=True):
            if not future.done():
                future.set_result(reply)
