"""The books at one moment: what was counted, and what is still there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import redis

from swarmfn.jobs.layout import is_callback_queue
from swarmfn.jobs.redis_commands import call_blocking
from swarmfn.jobs.scripts import CENSUS

CREDITS = ("accepted", "redriven")
DEBITS = ("succeeded", "failed", "expired", "cancelled", "purged")
"""accepted + redriven = succeeded + failed + expired + cancelled + purged + pending, at any moment. `purged` counts
calls that were taken away before they had ended; the record of one that had is `forgotten`, and was counted before."""

CALL_EVENTS = (*CREDITS, "started", "retried", "put_off", *DEBITS, "forgotten")
CALLBACK_EVENTS = ("delivered", "undelivered", "offered_again", "redelivered")


@dataclass(frozen=True)
class Counted:
    """One counter. `queue` is empty for callbacks, `function` for a job that is not a call of ours."""

    event: str
    function: str
    queue: str
    number: int


@dataclass(frozen=True)
class QueueState:
    """How many of a queue's calls wait, are put off and run; seconds that the first one has waited, None without."""

    queue: str
    waiting: int
    put_off: int
    running: int
    oldest: float | None

    @property
    def pending(self) -> int:
        return self.waiting + self.put_off + self.running

    @property
    def holds_callbacks(self) -> bool:
        return is_callback_queue(self.queue)


@dataclass(frozen=True)
class Census:
    """Counters and queues, read in one step."""

    counters: tuple[Counted, ...]
    queues: tuple[QueueState, ...]
    is_suspended: bool = False
    """RQ's workers are: what waits goes on waiting."""

    def total(self, event: str) -> int:
        """An event's sum over all functions and queues."""
        return sum(counted.number for counted in self.counters if counted.event == event)

    @property
    def pending(self) -> int:
        """Calls that wait, are put off or run."""
        return sum(queue.pending for queue in self.queues if not queue.holds_callbacks)

    @property
    def imbalance(self) -> int:
        """0: every call is accounted for; above it, this many are missing."""
        return sum(map(self.total, CREDITS)) - sum(map(self.total, DEBITS)) - self.pending


def take_census(client: redis.Redis) -> Census:
    """Raises the client's errors."""
    totals, queues, suspended = call_blocking(client, CENSUS)
    names, numbers = totals[::2], totals[1::2]
    counters = (_counted(name, number) for name, number in zip(names, numbers, strict=True))
    now = time.time()
    states = sorted((_state(row, now) for row in queues), key=lambda state: state.queue)
    return Census(tuple(counter for counter in counters if counter), tuple(states), bool(suspended))


def _counted(name: bytes, number: bytes) -> Counted | None:
    event, _, rest = name.decode("utf-8", "replace").partition(":")
    function, _, queue = rest.partition(":")
    try:
        return Counted(event, function, queue, int(number))
    except ValueError:
        return None  # somebody else's


def _state(row: Sequence[bytes | int], now: float) -> QueueState:
    queue, since, waiting, put_off, running = row
    return QueueState(_text(queue), int(waiting), int(put_off), int(running), _seconds_since(_text(since), now))


def _seconds_since(moment: str, now: float) -> float | None:
    try:
        return max(0.0, now - datetime.fromisoformat(moment).timestamp())
    except ValueError:
        return None


def _text(value: bytes | int) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
