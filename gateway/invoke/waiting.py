"""Holding a question about a call until the call has ended: no thread waits, and one look at Redis serves everyone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from swarmfn.wire.durations import parse_duration
from swarmfn.wire.errors import InvalidRequest, QueueUnavailable

PARAMETER = "wait"

_LOOK_EVERY = 0.05
_LOOK_SELDOM = 0.5
_FEW = 100
"""Up to this many calls are looked at often, more of them rarely."""

_MOST = 1000


class Queue(Protocol):
    """What is asked about calls."""

    async def ended(self, call_ids: Collection[str]) -> Collection[str]:
        """Those of `call_ids` that have ended or are not on record. Raises QueueUnavailable."""


class Waiting:
    """Belongs to the event loop. Beyond 1000 questions at a time, and once it is stopped, nobody is kept waiting."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: dict[asyncio.Event, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def until_ended(self, call_id: str, seconds: float) -> None:
        """Returns when the call has ended, when there is no such call, when Redis is away, or after `seconds`."""
        if self._is_stopped or len(self._waiting) >= _MOST:
            return
        ended = asyncio.Event()
        self._waiting[ended] = call_id
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(ended, None)

    def stop(self) -> None:
        """Lets everybody go: the gateway ends."""
        self._is_stopped = True
        self._release(set(self._waiting.values()))

    async def _look(self) -> None:
        try:
            while self._waiting:
                calls = set(self._waiting.values())
                try:
                    self._release(await self._queue.ended(calls))
                except QueueUnavailable:
                    self._release(calls)  # their answers will say so
                await asyncio.sleep(_LOOK_EVERY if len(calls) <= _FEW else _LOOK_SELDOM)
        finally:
            self._looking = None

    def _release(self, calls: Collection[str]) -> None:
        for event, call_id in self._waiting.items():
            if call_id in calls:
                event.set()


def seconds_to_wait(query: str) -> float:
    """What `wait` in a query asks for, 0 without it. Raises InvalidRequest."""
    values = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == PARAMETER]
    if not values:
        return 0.0
    try:
        return parse_duration(values[-1])
    except ValueError as exc:
        raise InvalidRequest(f"{PARAMETER}: {str(exc)[:200]}.", "Send a duration such as wait=30s.") from exc


def without_wait(query: str) -> str:
    """`query` less what `seconds_to_wait` reads."""
    return urlencode([pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != PARAMETER])
