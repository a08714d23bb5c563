"""Bounds on the bytes of large bodies in memory at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

_LEAST = 32 * 2**20
_LARGEST_BODY = 256 * 2**20


@dataclass(frozen=True, slots=True)
class BudgetSizes:
    """How many bytes large bodies may take in one worker process: requests, answers, and one answer."""

    bodies: int
    answers: int
    answer: int


def budget_sizes(memory: int, processes: int, bodies: int, answers: int, answer: int) -> BudgetSizes:
    """What is asked for, and where that is 0 what `memory`, shared by the `processes`, allows."""
    share = max(_LEAST, memory // 4 // processes)
    answers = answers or share
    return BudgetSizes(bodies or min(share, _LARGEST_BODY), answers, answer or min(answers, _LARGEST_BODY))


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


class GrowingBudget:
    """Hands out bytes of a total to holders that do not know beforehand how many they need.

    When nothing is left, they wait, holding what they have. So that they do not wait for each other for ever, one of
    them at a time goes on anyway: `size` and what that one takes is the most there can be.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[Hashable, int] = {}
        self._used = 0
        self._beyond: Hashable | None = None
        self._waiting: deque[tuple[Hashable, int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        return self._used

    def has_room(self, holder: Hashable, size: int) -> bool:
        """Whether the holder need not wait for `size` more bytes."""
        return holder == self._beyond or (not self._waiting and self._used + size <= self._size)

    def take(self, holder: Hashable, size: int) -> None:
        """Makes `size` more bytes the holder's, for which there is room."""
        self._held[holder] = self._held.get(holder, 0) + size
        self._used += size

    async def grow(self, holder: Hashable, size: int) -> None:
        """Returns once `size` more bytes are the holder's, until `release`."""
        if self.has_room(holder, size):
            self.take(holder, size)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((holder, size, granted))
        self._grant()
        await granted

    def release(self, holder: Hashable) -> None:
        """Takes all of the holder's bytes back, if it has any. It must not be waiting."""
        self._used -= self._held.pop(holder, 0)
        if holder == self._beyond:
            self._beyond = None
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            holder, size, granted = self._waiting[0]
            if not granted.done():  # it is when its holder has given up
                if self._used + size > self._size:
                    if self._beyond is not None:
                        return
                    self._beyond = holder
                self.take(holder, size)
                granted.set_result(None)
            self._waiting.popleft()
