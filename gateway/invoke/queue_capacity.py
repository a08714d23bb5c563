"""How much room there is for further calls: looked up once a second, so that no call asks Redis for it."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from swarmfn.jobs.redis_commands import Unreachable, call, command
from swarmfn.jobs.scripts import ROOM
from swarmfn.wire.errors import QueueUnavailable

logger = logging.getLogger(__name__)

EXACT_UP_TO = 50_000
"""Depths up to this are compared in the step that stores a call. A higher one only once half of it is reached: no
second brings in that many calls."""

_EVERY = 1.0
_SHARE = 0.75
"""Of Redis's memory. What is left is for the results of the calls that are there already."""

_RECORD = 1500
"""Bytes that a call takes besides its body, about."""

_RETRY_AFTER = 5.0
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class RedisView:
    """Redis at one moment. used, limit: bytes, 0 for no limit; put_off: calls in all queues; longest: a queue and its
    depth; long: the queues where the depth is worth a look."""

    used: int
    limit: int
    put_off: int
    longest: tuple[str, int]
    long: frozenset[str]


class QueueCapacity:
    """`max_memory`: bytes of Redis's memory that may be in use before no more calls are taken, None for three quarters
    of what Redis may have, 0 for all of it; `max_depth`: of every queue, 0 for any; `max_put_off`: as max_depth, of all
    calls that are put off."""

    def __init__(
        self, client: redis.asyncio.Redis | None, max_memory: int | None, max_depth: int, max_put_off: int = 0
    ) -> None:
        self._client = client
        self._max_memory = max_memory
        self._max_depth = max_depth
        self._max_put_off = max_put_off
        self.view: RedisView | None = None
        self._left = math.inf  # bytes, at the last look
        self._taken = 0  # of them
        self._settled = 0  # of what is taken

    def require(self, size: int) -> None:
        """Raises QueueUnavailable when a call with a body of `size` bytes is too much."""
        if self._taken + size + _RECORD > self._left:
            raise self._full()

    def take(self, size: int) -> None:
        """For a call with a body of `size` bytes that is about to be stored; `settle` must follow. Raises
        QueueUnavailable."""
        taken = self._taken + size + _RECORD
        if taken > self._left:
            raise self._full()
        self._taken = taken

    def settle(self, size: int) -> None:
        """It is stored, or not: the next look tells."""
        self._settled += size + _RECORD

    def depth_limit(self, queue: str) -> int:
        """The limit that this queue's depth has to be compared with now; 0 while it is far from it."""
        is_far = self._max_depth > EXACT_UP_TO and self.view is not None and queue not in self.view.long
        return 0 if is_far else self._max_depth

    def limits(self) -> list[dict[str, Any]]:
        """What is limited, in rows for /system/limits: the setting, the limit (0: none), and how much there is now
        (None: not known)."""
        view = self.view
        queue, depth = view.longest if view is not None else ("", None)
        return [
            _row("redis_maxmemory", "bytes", view.limit if view else None, view.used if view else None),
            _row("queue_max_memory", "bytes", self.max_memory, view.used if view else None),
            _row("queue_max_depth", "calls", self._max_depth, depth, queue),
            _row("async_max_put_off", "calls", self._max_put_off, view.put_off if view else None),
        ]

    @property
    def max_memory(self) -> int:
        """In bytes; 0: no limit but Redis's own, or none is known."""
        if self._max_memory is not None:
            return self._max_memory
        return int(self.view.limit * _SHARE) if self.view is not None else 0

    async def run(self) -> None:
        """Keeps the view fresh until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Takes a new view. Without Redis there is none: depths are compared exactly then."""
        if self._client is None:
            return
        settled = self._settled
        try:
            memory = await command(self._client, "INFO", "memory")
            put_off, longest, depth, long = await call(self._client, ROOM, limit=max(1, self._max_depth // 2))
        except Unreachable as exc:
            logger.debug("cannot see how much room there is: %s", exc)
            self.see(None)
            return
        queues = frozenset(name.decode("utf-8", "replace") for name in long)
        used, limit = int(memory["used_memory"]), int(memory["maxmemory"])
        self.see(RedisView(used, limit, int(put_off), (longest.decode("utf-8", "replace"), int(depth)), queues))
        # What was stored while Redis was asked may be in its answer already; it is counted twice for one second.
        self._taken -= settled
        self._settled -= settled

    def see(self, view: RedisView | None) -> None:
        """What counts from now on."""
        self.view = view
        self._left = (self.max_memory or math.inf) - view.used if view is not None else math.inf

    def _full(self) -> QueueUnavailable:
        used = self.view.used if self.view is not None else 0
        return QueueUnavailable(
            f"no asynchronous calls are accepted right now: Redis holds {used // _MIB} MiB, and there is "
            f"room for calls up to {self.max_memory // _MIB} MiB (queue_max_memory).",
            "Send it again after the time in Retry-After.",
            retry_after=_RETRY_AFTER,
        )


def _row(setting: str, unit: str, limit: int | None, now: int | None, queue: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"setting": setting, "unit": unit, "limit": limit, "now": now}
    return {**row, "queue": queue} if queue else row
