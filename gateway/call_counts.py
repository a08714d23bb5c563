"""How often each function was called, as its status tells: over restarts of the gateway, and asynchronous runs too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import redis.asyncio

from gateway.call_metrics import InvocationMetrics
from swarmfn.jobs import keys
from swarmfn.jobs.redis_commands import Unreachable

logger = logging.getLogger(__name__)

_EVERY = 2.0
"""Seconds: what a gateway that is killed has counted since is lost."""

_RUN = b"started:"


class CallCounts:
    """Adds what `metrics` counts to what is stored in Redis, and stores it. `now` may be called from any thread; the
    rest belongs to the event loop."""

    def __init__(self, metrics: InvocationMetrics, client: redis.asyncio.Redis) -> None:
        self._metrics = metrics
        self._client = client
        # Together, so that nobody sees one of them without the other: what Redis has, and what of our own is in that.
        self._known: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    def now(self) -> Mapping[str, int]:
        """By function. While Redis is away: what it had last, and what has ended since."""
        stored, saved = self._known
        unsaved = _unsaved(self._metrics.ended(), saved)
        return {name: stored.get(name, 0) + unsaved.get(name, 0) for name in {*stored, *unsaved}}

    async def run(self) -> None:
        """Looks every two seconds until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.look()

    async def look(self) -> None:
        """Stores what has ended since the last time, and reads what there is."""
        ended = self._metrics.ended()
        untyped: Any = self._client
        try:
            async with untyped.pipeline(transaction=True) as pipeline:
                for name, number in _unsaved(ended, self._known[1]).items():
                    pipeline.hincrby(keys.INVOCATIONS, name, number)
                pipeline.hgetall(keys.INVOCATIONS)
                pipeline.hgetall(keys.TOTALS)
                *_, calls, totals = await pipeline.execute()
        except Unreachable as exc:
            logger.debug("cannot store how often functions were called: %s", exc)
            return
        self._known = (_added(calls, totals), ended)


def _unsaved(ended: Mapping[str, int], saved: Mapping[str, int]) -> dict[str, int]:
    new = {}
    for name, number in ended.items():
        before = saved.get(name, 0)
        # Calls of a function that was removed are forgotten, and a new one with its name starts at 0.
        new[name] = number - before if number >= before else number
    return {name: number for name, number in new.items() if number}


def _added(calls: Mapping[bytes, bytes], totals: Mapping[bytes, bytes]) -> dict[str, int]:
    found = {name.decode(errors="replace"): _count(number) for name, number in calls.items()}
    for counter, number in totals.items():
        if counter.startswith(_RUN):
            name = counter.split(b":")[1].decode(errors="replace")
            found[name] = found.get(name, 0) + _count(number)
    return found


def _count(text: bytes) -> int:
    """One that somebody has damaged stops neither the gateway nor the others."""
    try:
        return int(text)
    except ValueError:
        return 0
