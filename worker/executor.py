"""The worker's engine: claims, runs many calls at once on one event loop, records how they ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from swarmfn.jobs.claims import LEASE, Claim, Claims, Ending, Postponement
from swarmfn.jobs.connection import Unreachable
from swarmfn.wire.invocations import Delivery, Invocation
from worker.attempts import Caller
from worker.decisions import Keeping, after_delivery, after_foreign, after_invocation
from worker.replicas import Announcements
from worker.slots import ByteBudget, Slots

logger = logging.getLogger(__name__)

_RENEW_EVERY = LEASE / 3
_PROMOTE_EVERY = 0.1
_POLL_EVERY = 1.0
_OUTAGE_PAUSE = 0.5


class Executor:
    """Runs the calls of one worker process until told to drain.

    A Redis that is away stops nothing for good: what was running runs on, its result is kept and recorded when Redis
    is back, unless another worker has taken the call over by then.
    """

    def __init__(
        self,
        claims: Claims,
        caller: Caller,
        announcements: Announcements,
        slots: Slots,
        budget: ByteBudget,
        keeping: Keeping,
        worker: str,
        only_queues: Sequence[str] = (),
    ) -> None:
        self._claims = claims
        self._caller = caller
        self._announcements = announcements
        self._slots = slots
        self._budget = budget
        self._keeping = keeping
        self._worker = worker
        self._only_queues = frozenset(only_queues)
        self._wake = asyncio.Event()
        self._is_draining = False
        self._running: dict[Claim, asyncio.Task[None]] = {}
        self._budget_freed = asyncio.Condition()
        # After a start or an outage every lease may have lapsed while its owner is alive: give them time to renew.
        self._reap_after = time.monotonic() + LEASE
        self.succeeded = 0
        self.failed = 0

    @property
    def running(self) -> list[Claim]:
        """What is in flight now."""
        return list(self._running)

    def note_work(self, queue: str) -> None:
        """`queue` may hold jobs."""
        if not self._only_queues or queue in self._only_queues:
            self._slots.note_work(queue)
            self._wake.set()

    def drain(self) -> None:
        """Claim nothing more."""
        self._is_draining = True
        self._wake.set()

    async def run(self, drain_timeout: float, burst: bool = False) -> None:
        """Works until `drain()`, then waits up to `drain_timeout` seconds for what is running and hands back the
        rest. With `burst`, ends when the queues are empty."""
        helpers = [asyncio.create_task(step) for step in (self._announcements.follow(), self._renew(), self._tend())]
        try:
            await self._announcements.has_table.wait() if not burst else None
            await self._work(burst)
            await self._finish_running(None if burst else drain_timeout)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _work(self, burst: bool) -> None:
        await self._look_for_work()
        while not self._is_draining:
            self._wake.clear()
            wants = self._slots.wants()
            if not wants:
                if burst and not self._running:
                    return
                await self._wake.wait()
                continue
            try:
                claimed = await self._claims.claim(wants)
            except Unreachable as exc:
                logger.warning("cannot claim (%s); trying again", exc, extra={"event": "redis_unreachable"})
                self._note_outage()
                await asyncio.sleep(_OUTAGE_PAUSE)
                continue
            self._start(wants, claimed)

    def _start(self, wants: Sequence[tuple[str, int]], claimed: Sequence[Claim]) -> None:
        got: dict[str, int] = {}
        for claim in claimed:
            got[claim.queue] = got.get(claim.queue, 0) + 1
            self._slots.take(claim.queue)
            self._running[claim] = asyncio.create_task(self._handle(claim))
        for queue, count in wants:
            if got.get(queue, 0) >= count:
                self.note_work(queue)

    async def _handle(self, claim: Claim) -> None:
        try:
            await self._record(claim, await self._attempt(claim))
        except asyncio.CancelledError:
            raise
        except Exception:  # one call's surprise must not stop the others; its lease lapses and it is tried again
            logger.exception(
                "running a call failed unexpectedly; it will be taken up again when its lease ends",
                extra={"event": "attempt_crashed", "call_id": claim.job_id},
            )
        finally:
            del self._running[claim]
            self._slots.give_back(claim.queue)
            self._wake.set()

    async def _attempt(self, claim: Claim) -> Ending | Postponement:
        size = claim.large_size
        if size:
            await self._wait_for_budget(size)
        try:
            return await self._call(claim)
        finally:
            if size:
                self._budget.give_back(size)
                async with self._budget_freed:
                    self._budget_freed.notify_all()

    async def _call(self, claim: Claim) -> Ending | Postponement:
        work = claim.work
        if isinstance(work, Invocation):
            body = await self._claims.body(claim)
            table = self._announcements.table
            result = await self._caller.invoke(table, work, body, claim.next_attempt)
            return after_invocation(claim, work, result, time.time(), self._worker, self._keeping)
        if isinstance(work, Delivery):
            result = await self._caller.deliver(work, await self._claims.body(claim))
            return after_delivery(claim, work, result, time.time(), self._worker, self._keeping)
        logger.error(
            "a job on queue %s is not run: %s",
            claim.queue,
            work.problem,
            extra={"event": "foreign_job", "call_id": claim.job_id},
        )
        return after_foreign(claim, work, time.time(), self._worker, self._keeping)

    async def _wait_for_budget(self, size: int) -> None:
        async with self._budget_freed:
            await self._budget_freed.wait_for(lambda: self._budget.has_room(size))
            self._budget.take(size)

    async def _record(self, claim: Claim, ending: Ending | Postponement) -> None:
        while True:
            try:
                if isinstance(ending, Postponement):
                    is_ours = await self._claims.retry_later(claim, ending)
                else:
                    is_ours = await self._claims.finish(claim, ending)
                break
            except Unreachable as exc:
                logger.warning(
                    "cannot record a result (%s); keeping it and trying again",
                    exc,
                    extra={"event": "redis_unreachable", "call_id": claim.job_id},
                )
                self._note_outage()
                await asyncio.sleep(_OUTAGE_PAUSE)
        if not is_ours:
            logger.warning(
                "another worker has taken this call over; this result is dropped",
                extra={"event": "lost_claim", "call_id": claim.job_id},
            )
        elif isinstance(ending, Ending):
            self._count(claim, ending)

    def _count(self, claim: Claim, ending: Ending) -> None:
        if ending.state == "succeeded":
            self.succeeded += 1
            return
        self.failed += 1
        logger.warning("a call failed: %s", ending.note, extra={"event": "failed", "call_id": claim.job_id})

    async def _finish_running(self, timeout: float | None) -> None:
        if self._running:
            logger.info("draining: %d calls are running", len(self._running), extra={"event": "drain"})
            await asyncio.wait(list(self._running.values()), timeout=timeout)
        left = dict(self._running)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        if left:
            try:
                returned = await self._claims.hand_back(list(left))
            except Unreachable as exc:
                logger.error(
                    "cannot hand back %d calls (%s); others take them over when their leases end",
                    len(left),
                    exc,
                    extra={"event": "redis_unreachable"},
                )
                return
            logger.info("handed back %d calls that ran longer than the drain", returned, extra={"event": "handed_back"})

    # What goes on beside the calls.

    def _note_outage(self) -> None:
        self._reap_after = time.monotonic() + LEASE

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                await self._claims.renew(self.running)
            except Unreachable:
                self._note_outage()

    async def _tend(self) -> None:
        """Queues what has come due, looks for work nobody announced, takes over what others left."""
        next_poll = 0.0
        while True:
            try:
                await self._claims.promote()
                if time.monotonic() >= next_poll:
                    next_poll = time.monotonic() + _POLL_EVERY
                    await self._look_for_work()
                    await self._reap()
            except Unreachable:
                self._note_outage()
                await asyncio.sleep(_OUTAGE_PAUSE)
            await asyncio.sleep(_PROMOTE_EVERY)

    async def _look_for_work(self) -> None:
        try:
            queues = await self._claims.queues()
        except Unreachable:
            self._note_outage()
            return
        for queue, length in queues.items():
            if length:
                self.note_work(queue)

    async def _reap(self) -> None:
        if time.monotonic() < self._reap_after:
            return
        returned = await self._claims.reap()
        if returned:
            logger.warning(
                "took over %d calls whose worker is gone; they run again", returned, extra={"event": "reaped"}
            )
