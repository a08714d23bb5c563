"""The worker's engine: claims, runs many calls at once on one event loop, records how they ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.consumer import CannotRecord, ClaimBatch
from swarmfn.jobs.layout import CALLBACK_QUEUE, base_queue, is_callback_queue
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.replicas import ReplicaTable
from worker.concurrency_limits import ConcurrencyLimits
from worker.meter import Meter
from worker.slots import Slots
from worker.tasks import cancel_all
from worker.upkeep import KeptQueue, Upkeep

logger = logging.getLogger(__name__)

_OUTAGE_PAUSE = 0.5
_NO_ROOM_PAUSE = 0.2
_RECORDING_GRACE = 5.0


class ClaimedQueue(KeptQueue, Protocol):
    """Where calls are claimed and their ends recorded; see Consumer."""

    async def claim(self, wants: Sequence[tuple[str, int]], limit_of: Callable[[str], str]) -> ClaimBatch: ...
    async def claim_alone(self, limits: str) -> ClaimBatch: ...
    async def waiting_alone(self) -> int: ...
    async def finish(self, claim: Claim, completion: Completion) -> bool: ...
    async def retry_later(self, claim: Claim, postponement: Postponement) -> bool: ...
    async def hand_back(self, claims: Sequence[Claim]) -> int: ...


class ClaimRuns(Protocol):
    """Runs what was claimed; see Runs."""

    async def run(self, claim: Claim) -> Completion | Postponement: ...
    def forget(self, claim: Claim) -> None: ...


class Announced(Protocol):
    """What the gateway says; see Announcements."""

    table: ReplicaTable
    has_table: asyncio.Event
    has_looked: asyncio.Event

    async def follow(self) -> None: ...


class Executor:
    """Runs the calls of one worker process until told to drain.

    A Redis that is away stops nothing for good: what was running runs on, its result is kept and recorded when Redis
    is back, unless another worker has taken the call over by then. `only_queues` empty means every queue of ours.
    """

    def __init__(
        self,
        consumer: ClaimedQueue,
        runs: ClaimRuns,
        announcements: Announced,
        slots: Slots,
        meter: Meter,
        only_queues: Sequence[str] = (),
    ) -> None:
        self._limits = ConcurrencyLimits(lambda: announcements.table)
        self._consumer = consumer
        self._runs = runs
        self._announcements = announcements
        self._slots = slots
        self._meter = meter
        self._only_queues = frozenset(only_queues)
        self._upkeep = Upkeep(consumer, lambda: self.running, self.note_work, self._on_lost, self._limits.holds)
        self._wake = asyncio.Event()
        self._drain = asyncio.Event()
        self._hurry = asyncio.Event()
        self._running: dict[Claim, asyncio.Task[None]] = {}
        self._recording: set[Claim] = set()
        self._outage = RepeatedFailures(logger, "claiming calls", "redis_unreachable")
        self.succeeded = 0
        self.failed = 0

    @property
    def running(self) -> list[Claim]:
        """What is in flight now."""
        return list(self._running)

    def note_work(self, queue: str) -> None:
        """`queue` may hold jobs."""
        # Asking for callbacks means those of every receiver, and asking for a queue means every priority.
        named = CALLBACK_QUEUE if is_callback_queue(queue) else base_queue(queue)
        if not self._only_queues or {queue, named} & self._only_queues:
            self._slots.note_work(queue)
            self._wake.set()

    def drain(self) -> None:
        """Claim nothing more."""
        self._drain.set()
        self._wake.set()

    def hurry(self) -> None:
        """Wait no longer for what is running: hand it back."""
        self._hurry.set()

    async def run(self, drain_timeout: float, burst: bool = False) -> None:
        """Works until `drain()`, then waits up to `drain_timeout` seconds for what is running and hands back the
        rest. With `burst`, ends when the queues are empty."""
        steps = (self._announcements.follow(), self._upkeep.renew(), self._upkeep.tend())
        helpers = [asyncio.create_task(step) for step in steps]
        try:
            await self._wait_for_table(burst)
            await self._work(burst)
            await self._finish_running(drain_timeout)
        finally:
            await cancel_all(helpers)

    async def run_alone(self, drain_timeout: float) -> None:
        """Runs the calls that are to run alone, one after the other, until there is none or `drain()`."""
        steps = (self._announcements.follow(), self._upkeep.renew(), self._upkeep.tend())
        helpers = [asyncio.create_task(step) for step in steps]
        try:
            await self._wait_for_table(burst=False)
            while not self._drain.is_set() and await self._run_next_alone():
                pass
            await self._finish_running(drain_timeout)
        finally:
            await cancel_all(helpers)

    async def _run_next_alone(self) -> bool:
        """Runs one call to its end, if there is one; whether there may be more."""
        try:
            claimed = await self._consumer.claim_alone(self._limits.of_all())
            if not claimed.claims:
                # None has room within its function's limit, or RQ's workers are suspended.
                await asyncio.sleep(_NO_ROOM_PAUSE)
                return await self._consumer.waiting_alone() > 0
        except Unreachable as exc:
            logger.debug("cannot claim (%s); trying again", exc)
            await asyncio.sleep(_OUTAGE_PAUSE)
            return True
        self._start(claimed)
        while self._running and not self._drain.is_set():
            self._wake.clear()
            await self._wake.wait()
        return True

    async def _wait_for_table(self, burst: bool) -> None:
        """Until the gateway has said where functions are, every call would fail. In a burst, one look is enough."""
        wanted = self._announcements.has_looked if burst else self._announcements.has_table
        if not wanted.is_set():
            logger.info("waiting for the gateway's replica table", extra={"event": "waiting"})
        waits = [asyncio.create_task(event.wait()) for event in (wanted, self._drain)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all(waits)

    async def _work(self, burst: bool) -> None:
        if burst:
            await self._look_again()
        while not self._drain.is_set():
            self._wake.clear()
            wants = self._slots.wants()
            if wants:
                await self._claim(wants)
            elif not burst or self._running:
                await self._wake.wait()
            elif not await self._look_again():
                return

    async def _claim(self, wants: Sequence[tuple[str, int]]) -> None:
        try:
            claimed = await self._consumer.claim(wants, self._limits.of)
        except Unreachable as exc:
            self._outage.note(exc, is_foreseen=True)
            self._upkeep.note_outage()
            for queue, _ in wants:
                self.note_work(queue)
            await asyncio.sleep(_OUTAGE_PAUSE)
        else:
            self._outage.over()
            self._start(claimed)

    def _start(self, claimed: ClaimBatch) -> None:
        for claim in claimed.claims:
            self._slots.take(claim.queue)
            self._running[claim] = asyncio.create_task(self._handle(claim))
        for queue in claimed.more:
            self.note_work(queue)

    async def _look_again(self) -> bool:
        """Whether some queue holds jobs that nobody announced."""
        try:
            await self._upkeep.look_for_work()
        except Unreachable as exc:
            logger.warning("cannot look for work (%s)", exc, extra={"event": "redis_unreachable"})
        return self._slots.has_work

    async def _handle(self, claim: Claim) -> None:
        try:
            completion = await self._runs.run(claim)
            self._recording.add(claim)
            await self._record(claim, completion)
        except CannotRecord as exc:
            logger.error(
                "a call's end cannot be recorded (%s); it is tried again when its lease ends",
                exc,
                extra={"event": "cannot_record", "call_id": claim.job_id},
            )
        except Exception:  # one call's surprise must not stop the others
            logger.exception(
                "a call's end could not be decided; it is tried again when its lease ends",
                extra={"event": "attempt_crashed", "call_id": claim.job_id},
            )
        finally:
            self._release(claim)

    def _release(self, claim: Claim) -> None:
        """Its run has ended, or never began. Coming twice does no harm."""
        if self._running.pop(claim, None) is None:
            return
        self._runs.forget(claim)
        self._recording.discard(claim)
        self._slots.give_back(claim.queue)
        if self._limits.of(claim.queue):
            # It held room that others may have waited for, and nobody announces that.
            self.note_work(claim.queue)
        self._wake.set()

    def _release_when_ended(self, claim: Claim) -> asyncio.Task[None]:
        """For a run that is to be cancelled: before its first step, it never gets to a `finally` of its own."""
        task = self._running[claim]
        task.add_done_callback(lambda _: self._release(claim))
        return task

    async def _record(self, claim: Claim, completion: Completion | Postponement) -> None:
        level = logging.WARNING
        while True:
            try:
                if isinstance(completion, Postponement):
                    is_ours = await self._consumer.retry_later(claim, completion)
                else:
                    is_ours = await self._consumer.finish(claim, completion)
                break
            except Unreachable as exc:
                logger.log(
                    level,
                    "cannot record a result (%s); keeping it and trying again",
                    exc,
                    extra={"event": "redis_unreachable", "call_id": claim.job_id},
                )
                level = logging.DEBUG  # once for each call will do
                self._upkeep.note_outage()
                await asyncio.sleep(_OUTAGE_PAUSE)
        if not is_ours:
            self._meter.lost()
            logger.warning(
                "this call is no longer ours: recorded already, cancelled, or taken over; this result is dropped",
                extra={"event": "lost_claim", "call_id": claim.job_id},
            )
        elif isinstance(completion, Completion):
            self._count(claim, completion)
        else:
            self._upkeep.note_due(completion.delay)

    def _count(self, claim: Claim, completion: Completion) -> None:
        if completion.state == "succeeded":
            self.succeeded += 1
            return
        self.failed += 1
        logger.warning(
            "a call %s: %s",
            completion.state,
            completion.note,
            extra={"event": completion.state, "call_id": claim.job_id},
        )

    def _on_lost(self, entries: Collection[str]) -> None:
        """Stops runs that another worker has taken over, or that were cancelled: nobody would hear of their end."""
        for claim in self.running:
            if claim.entry in entries and claim not in self._recording:
                logger.warning(
                    "a call was cancelled or taken over while it ran; stopping its run here",
                    extra={"event": "lost_claim", "call_id": claim.job_id},
                )
                self._release_when_ended(claim).cancel()

    async def _finish_running(self, timeout: float) -> None:
        if self._running:
            logger.info("draining: %d calls are running", len(self._running), extra={"event": "drain"})
            await self._wait_for_running(timeout)
        # What has ended is not run again only because its end is being recorded right now.
        left = await self._stop(set(self._running) - self._recording)
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=_RECORDING_GRACE)
        left += await self._stop(set(self._running))
        if left:
            await self._hand_back(left)

    async def _wait_for_running(self, timeout: float) -> None:
        """Until all of it has ended, the time is up, or somebody cannot wait."""
        ended = asyncio.create_task(asyncio.wait(list(self._running.values())))
        hurried = asyncio.create_task(self._hurry.wait())
        waits: list[asyncio.Task[Any]] = [ended, hurried]
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all(waits)

    async def _stop(self, claims: set[Claim]) -> list[Claim]:
        await cancel_all([self._release_when_ended(claim) for claim in claims])
        return list(claims)

    async def _hand_back(self, claims: list[Claim]) -> None:
        try:
            returned = await self._consumer.hand_back(claims)
        except Unreachable as exc:
            logger.error(
                "cannot hand back %d calls (%s); others take them over when their leases end",
                len(claims),
                exc,
                extra={"event": "redis_unreachable"},
            )
            return
        logger.info("handed back %d calls that ran longer than the drain", returned, extra={"event": "handed_back"})
