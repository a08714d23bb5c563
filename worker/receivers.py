"""How many callbacks each receiver is being offered, so that a slow or dead one leaves the others their room."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_SHARE = 8
"""One receiver takes at most 1/_SHARE of the room that is left, so that there is some for the next one."""

_SHORTEST, _LONGEST = 0.2, 30.0
_FIRST_GUESS = 1.0
_WEIGHT = 0.2


@dataclass(slots=True)
class _Receiver:
    """seconds: what an offer has taken recently; turn: when the last one that was turned away may have its turn."""

    in_flight: int = 0
    seconds: float = _FIRST_GUESS
    turn: float = 0.0


class Receivers:
    """Counts the offers of one worker process by receiver: up to `each` to one, and to all together about `total`.

    Receivers share queues, and callers choose them: what is beyond a receiver's room is not waited for, but put off to
    about when its turn comes. Nothing is remembered of a receiver that is offered nothing.
    """

    def __init__(self, each: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._total = total
        self._clock = clock
        self._in_flight = 0
        self._known: dict[str, _Receiver] = {}

    @classmethod
    def unlimited(cls) -> Receivers:
        return cls(sys.maxsize, sys.maxsize)

    def wait_for_room(self, place: str) -> float | None:
        """Seconds to put an offer to this receiver off; None when there is room for it."""
        receiver = self._known.get(place)
        if receiver is None:
            return None
        free = self._total - self._in_flight
        if receiver.in_flight < min(self._each, max(1, free // _SHARE)):
            return None
        now = self._clock()
        receiver.turn = min(max(now, receiver.turn) + receiver.seconds / receiver.in_flight, now + _LONGEST)
        wait = max(_SHORTEST, receiver.turn - now)
        # Those whose turn is far away do not come back all at once.
        return wait if wait < _LONGEST else random.uniform(_LONGEST / 2, _LONGEST)  # noqa: S311, spreads load only

    @contextmanager
    def offering(self, place: str) -> Iterator[None]:
        """One offer to this receiver is under way."""
        receiver = self._known.setdefault(place, _Receiver())
        receiver.in_flight += 1
        self._in_flight += 1
        started = self._clock()
        try:
            yield
        finally:
            receiver.seconds += _WEIGHT * (self._clock() - started - receiver.seconds)
            receiver.in_flight -= 1
            self._in_flight -= 1
            if not receiver.in_flight:
                del self._known[place]
