"""What goes on beside the calls: leases, due jobs, what others left behind, and cleaning up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.consumer import Promoted
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)

_PROMOTE_EVERY = 0.1
_LOOK_EVERY = 1.0
_TIDY_EVERY = 60.0
_OUTAGE_PAUSE = 0.5
_CLOCK_SLACK = 2.0


class KeptQueue(Protocol):
    """What is done to the queue beside running its calls; see Consumer. Every method may raise Unreachable."""

    @property
    def lease(self) -> float: ...

    async def queues(self) -> dict[str, int]: ...
    async def held(self) -> list[tuple[str, str]]: ...
    async def let_go(self, function: str, queue: str) -> None: ...
    async def renew(self, claims: Collection[Claim]) -> frozenset[str]: ...
    async def promote(self) -> Promoted: ...
    async def reap(self) -> int: ...
    async def tidy(self) -> None: ...


class Upkeep:
    """Runs until cancelled. `running` tells what is in flight; `on_work` is called with each queue that holds jobs,
    `on_lost` with the entries of claims that are no longer ours; `is_limited` says of a function and a queue whether
    its calls there may have to wait for room."""

    def __init__(
        self,
        consumer: KeptQueue,
        running: Callable[[], Collection[Claim]],
        on_work: Callable[[str], None],
        on_lost: Callable[[Collection[str]], None],
        is_limited: Callable[[str, str], bool],
    ) -> None:
        self._consumer = consumer
        self._running = running
        self._on_work = on_work
        self._on_lost = on_lost
        self._is_limited = is_limited
        self._clock_offset: float | None = None
        self._next_look = 0.0
        self._next_tidy = time.monotonic() + _TIDY_EVERY * random.random()  # noqa: S311, spreads the workers' load
        self._reap_after = 0.0
        self._due = asyncio.Event()
        self._due_in: float | None = None
        self.note_outage()

    def note_outage(self) -> None:
        """Redis is away, or was. Every lease may have lapsed meanwhile though its owner is alive: the owners get one
        full lease to renew before anything is taken from them. It is the same after a start."""
        self._reap_after = time.monotonic() + self._consumer.lease

    def note_due(self, seconds: float) -> None:
        """Something was put off for this long: looking for what is due must not come later."""
        if seconds < _PROMOTE_EVERY:
            asyncio.get_running_loop().call_later(max(0.0, seconds), self._due.set)

    async def renew(self) -> None:
        """Keeps the leases of what is running."""
        await self._forever(self._renew, lambda: asyncio.sleep(self._consumer.lease / 3), "renewing leases")

    async def tend(self) -> None:
        """Queues what has come due, looks for work nobody announced, takes over what others left, tidies."""
        await self._forever(self._tend, self._until_due, "looking after queues")

    async def look_for_work(self) -> None:
        """Calls `on_work` for each queue that is not empty; what was held for a limit that is gone is let go."""
        for queue, length in (await self._consumer.queues()).items():
            if length:
                self._on_work(queue)
        for function, queue in await self._consumer.held():
            if not self._is_limited(function, queue):
                await self._consumer.let_go(function, queue)
            self._on_work(queue)

    async def _until_due(self) -> None:
        pause = _PROMOTE_EVERY if self._due_in is None else min(_PROMOTE_EVERY, max(0.0, self._due_in))
        try:
            async with asyncio.timeout(pause):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    async def _forever(
        self, step: Callable[[], Awaitable[None]], rest: Callable[[], Awaitable[None]], what: str
    ) -> None:
        failures = RepeatedFailures(logger, what, "upkeep_failed")
        while True:
            try:
                await step()
                failures.over()
            except Unreachable as exc:
                logger.debug("Redis is away: %s", exc)
                self.note_outage()
                # Soon: a lease that was not renewed now must not wait for its next turn.
                await asyncio.sleep(_OUTAGE_PAUSE)
                continue
            except Exception as exc:  # without leases and due times the worker would do harm: go on
                failures.note(exc)
                await asyncio.sleep(_OUTAGE_PAUSE)
            await rest()

    async def _renew(self) -> None:
        lost = await self._consumer.renew(self._running())
        if lost:
            self._on_lost(lost)

    async def _tend(self) -> None:
        promoted = await self._consumer.promote()
        self._due_in = promoted.due_in
        if promoted.cancelled:
            self._on_lost(promoted.cancelled)
        self._watch_clock(promoted.clock)
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        await self.look_for_work()
        if now >= self._reap_after:
            await self._reap()
        if now >= self._next_tidy:
            self._next_tidy = now + _TIDY_EVERY
            await self._consumer.tidy()

    def _watch_clock(self, redis_clock: float) -> None:
        offset = redis_clock - time.monotonic()
        if self._clock_offset is not None and abs(offset - self._clock_offset) > _CLOCK_SLACK:
            logger.warning(
                "Redis's clock jumped by %.1f s; nothing is taken over for one lease", offset - self._clock_offset
            )
            self.note_outage()
        self._clock_offset = offset

    async def _reap(self) -> None:
        returned = await self._consumer.reap()
        if returned:
            logger.warning(
                "took over %d calls whose worker is gone; they run again", returned, extra={"event": "reaped"}
            )
