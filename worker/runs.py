"""What a claim goes through before its end is recorded: body, one attempt, decision."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Hashable
from typing import Protocol

from swarmfn.jobs.claim import Claim, Work
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.outgoing import delivery_place
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.wire.invocations import Delivery, Foreign, Invocation, Newer
from swarmfn.wire.replicas import ReplicaTable
from worker.budget import ByteBudget, GrowingBudget
from worker.decisions import (
    Answer,
    Failure,
    Keeping,
    Moment,
    after_delivery,
    after_expiry,
    after_foreign,
    after_invocation,
    worn_out,
)
from worker.meter import Meter
from worker.receivers import Receivers

logger = logging.getLogger(__name__)

_OUTAGE_PAUSE = 0.5
_WAIT_FOR_NEWER = 30.0
"""Seconds until a job is offered again that only a newer worker can read."""
_GONE = Failure("its body is no longer stored", 0.0, is_hopeless=True)


class Bodies(Protocol):
    """Where the large body of a claimed call is; see Consumer."""

    async def body(self, claim: Claim) -> bytes | None: ...


class Functions(Protocol):
    """Calls functions; see FunctionCaller."""

    async def invoke(
        self, table: ReplicaTable, work: Invocation, body: bytes, attempt: int, holder: Hashable
    ) -> Answer | Failure: ...


class Sender(Protocol):
    """Delivers callbacks; see CallbackSender."""

    async def deliver(self, work: Delivery, body: bytes) -> Answer | Failure: ...


class Runs:
    """Runs claims, one attempt each. Cancelling a run closes its connection. `forget` must follow each `run`."""

    def __init__(
        self,
        bodies: Bodies,
        functions: Functions,
        sender: Sender,
        receivers: Receivers,
        table: Callable[[], ReplicaTable],
        budget: ByteBudget,
        answers: GrowingBudget,
        keeping: Keeping,
        worker: str,
        meter: Meter,
    ) -> None:
        self._bodies = bodies
        self._functions = functions
        self._sender = sender
        self._receivers = receivers
        self._table = table
        self._budget = budget
        self._answers = answers
        self._keeping = keeping
        self._worker = worker
        self._meter = meter

    def forget(self, claim: Claim) -> None:
        """Its end is recorded, or will not be: what its answer takes of memory is free."""
        self._answers.release(claim)

    async def run(self, claim: Claim) -> Completion | Postponement:
        """What to record. Does not raise but when it is cancelled: a surprise counts as a failure of the platform."""
        if isinstance(claim.work, Foreign):
            logger.error(
                "a job on queue %s is not run: %s",
                claim.queue,
                claim.work.problem,
                extra={"event": "foreign_job", "call_id": claim.job_id},
            )
            return after_foreign(claim, claim.work, self._moment(claim.work), self._keeping)
        if isinstance(claim.work, Newer):
            logger.warning(
                "a job on queue %s is left for newer workers: %s",
                claim.queue,
                claim.work.problem,
                extra={"event": "newer_job", "call_id": claim.job_id},
            )
            return Postponement(_WAIT_FOR_NEWER, 0, None)
        if claim.has_expired and isinstance(claim.work, Invocation):
            return after_expiry(claim, claim.work, self._keeping)
        if not isinstance(claim.work, Delivery):
            return await self._run(claim, claim.work)
        place = delivery_place(claim.work.url)
        wait = self._receivers.wait_for_room(place)
        if wait is not None:
            return Postponement(wait, claim.failures, None)
        with self._receivers.offering(place):
            return await self._run(claim, claim.work)

    async def _run(self, claim: Claim, work: Invocation | Delivery) -> Completion | Postponement:
        self._meter.claimed(claim)
        try:
            result = worn_out(claim) or await self._attempt(claim, work)
        except Exception as exc:  # one call's surprise must not stop the others
            logger.exception(
                "running a call failed unexpectedly; it is tried again a few times",
                extra={"event": "attempt_crashed", "call_id": claim.job_id},
            )
            result = Failure(f"the worker failed unexpectedly ({type(exc).__name__})", 0.0)
        decision = self._decide(claim, work, result)
        self._meter.ended(claim, result, decision)
        if isinstance(work, Delivery) and isinstance(decision, Completion) and decision.state == "failed":
            logger.warning(
                "the callback to %s is given up: %s. An operator can send it again",
                delivery_place(work.url) or "nowhere",
                decision.parent_note.removeprefix("failed, "),
                extra={"event": "callback_undelivered", "call_id": work.call_id},
            )
        return decision

    def _decide(self, claim: Claim, work: Invocation | Delivery, result: Answer | Failure) -> Completion | Postponement:
        if isinstance(work, Delivery):
            return after_delivery(claim, work, result, self._moment(work), self._keeping)
        return after_invocation(claim, work, result, self._moment(work), self._keeping)

    def _moment(self, work: Work) -> Moment:
        route = self._table().get(work.function) if isinstance(work, Invocation) else None
        is_limited = route is not None and route.policy.concurrency > 0
        return Moment(time.time(), self._worker, random.random(), is_limited)  # noqa: S311, spreads load only

    async def _attempt(self, claim: Claim, work: Invocation | Delivery) -> Answer | Failure:
        if not claim.large_size:
            return await self._call(claim, work, claim.inline_body)
        await self._budget.take(claim.large_size)
        try:
            body = await self._large_body(claim)
            return _GONE if body is None else await self._call(claim, work, body)
        finally:
            self._budget.give_back(claim.large_size)

    async def _call(self, claim: Claim, work: Invocation | Delivery, body: bytes) -> Answer | Failure:
        if isinstance(work, Delivery):
            return await self._sender.deliver(work, body)
        return await self._functions.invoke(self._table(), work, body, claim.next_attempt, claim)

    async def _large_body(self, claim: Claim) -> bytes | None:
        level = logging.WARNING
        while True:
            try:
                return await self._bodies.body(claim)
            except Unreachable as exc:
                logger.log(
                    level,
                    "cannot fetch a body (%s); trying again",
                    exc,
                    extra={"event": "redis_unreachable", "call_id": claim.job_id},
                )
                level = logging.DEBUG  # once for each call will do
                await asyncio.sleep(_OUTAGE_PAUSE)
