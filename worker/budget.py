"""A bound on the bytes of large bodies in memory at once."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """Hands out bytes of a total, in the order they are asked for. A body larger than the whole may pass alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Returns once `size` bytes are ours; `give_back` returns them."""
        if not self._waiting and self._has_room(size):
            self._used += size
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give_back(size)
            else:
                self._grant()  # who waits behind a large one that gives up may fit
            raise

    def give_back(self, size: int) -> None:
        self._used -= size
        self._grant()

    def _has_room(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._size

    def _grant(self) -> None:
        while self._waiting:
            size, granted = self._waiting[0]
            if granted.done():  # cancelled
                self._waiting.popleft()
                continue
            if not self._has_room(size):
                return
            self._waiting.popleft()
            self._used += size
            granted.set_result(None)
