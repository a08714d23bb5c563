"""Which replica next: the one with the fewest exchanges in flight from this process."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


class InFlight:
    """Counts exchanges by address. Equal counts take turns."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._turn = itertools.count()

    def order(self, addresses: Sequence[str]) -> list[str]:
        """`addresses`, the least busy first; a caller that finds one dead goes on to the next."""
        if len(addresses) < 2:
            return list(addresses)
        first = next(self._turn) % len(addresses)
        rotated = [*addresses[first:], *addresses[:first]]
        rotated.sort(key=lambda address: self._counts.get(address, 0))
        return rotated

    def enter(self, address: str) -> None:
        self._counts[address] = self._counts.get(address, 0) + 1

    def leave(self, address: str) -> None:
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]
