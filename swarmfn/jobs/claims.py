"""The running side: claiming, renewing, finishing and putting off calls. One object for each worker process."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio

from swarmfn.jobs import layout
from swarmfn.jobs.batches import Batcher
from swarmfn.jobs.connection import call, call_blocking, command
from swarmfn.jobs.scripts import CLAIM, FINISH, HAND_BACK, PROMOTE, REAP, RENEW, RETRY_LATER
from swarmfn.wire.invocations import Attempt, Delivery, Foreign, Invocation, StoredResponse

LEASE = 15.0
"""Seconds a claim is this worker's without being renewed; then any worker may hand it back."""

_RQ_SUCCESSFUL, _RQ_FAILED = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One job taken off a queue, held under a lease. `execution` is the fencing token; no two claims are equal."""

    job_id: str
    execution: str
    queue: str
    work: Invocation | Delivery | Foreign
    inline_body: bytes
    large_size: int
    failures: int
    attempts: tuple[Attempt, ...] = ()
    claimed_at: float = field(default_factory=time.time)

    @property
    def next_attempt(self) -> int:
        """The number of the attempt about to be made: those that only the platform failed do not count."""
        return 1 + sum(attempt.status != 0 for attempt in self.attempts)

    @property
    def entry(self) -> str:
        return f"{self.job_id}:{self.execution}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claim ends.

    state: `succeeded` or `failed`; counter: the field of the totals it counts in; note: our own fixed words for RQ's
    result or failure text, never anything a function said; response and answer: what to keep; delivery and
    delivery_body: what to send to the callback URL; parent and parent_note: for a delivery, the call it reports and
    what to note there.
    """

    state: str
    counter: str
    ttl: float
    note: str
    response: StoredResponse | None
    answer: bytes
    attempts: tuple[Attempt, ...]
    delivery: Delivery | None = None
    delivery_body: bytes = b""
    delivery_timeout: float = 0
    parent: str = ""
    parent_note: str = ""


@dataclass(frozen=True, slots=True)
class Postponement:
    """A claim put off for `delay` seconds after a failure that is not the function's. parent: the call whose
    callback this is, and what its record should say."""

    delay: float
    failures: int
    attempts: tuple[Attempt, ...]
    parent: str = ""
    parent_note: str = ""


class Claims:
    """The steps of a job's life that one worker takes. All raise the client's errors when Redis is away."""

    def __init__(self, client: redis.asyncio.Redis, worker: str) -> None:
        self._client = client
        self._worker = worker
        self._batch_number = 0
        self._finishing: Batcher[tuple[Claim, Ending], bool] = Batcher(
            self._finish, lambda item: len(item[1].answer) + len(item[1].delivery_body) + 500
        )
        self._postponing: Batcher[tuple[Claim, Postponement], bool] = Batcher(self._postpone, lambda item: 300)

    async def claim(self, wants: Sequence[tuple[str, int]]) -> list[Claim]:
        """Up to so many jobs of each queue named in `wants`, in one round trip."""
        self._batch_number += 1
        # Unique among all workers and restarts of the same name: it is what fences off a late finisher.
        prefix = f"{self._worker[:12]}-{time.time_ns():x}-{self._batch_number}-"
        arguments: list[Any] = [self._worker, prefix, LEASE, layout.rq_time()]
        for queue, count in wants:
            arguments += (queue, count)
        return [_claim_of(row) for row in await call(self._client, CLAIM, *arguments)]

    async def body(self, claim: Claim) -> bytes:
        """The request body, fetched if it is a large one."""
        if not claim.large_size:
            return claim.inline_body
        return await command(self._client, "GET", layout.request_body_key(claim.job_id)) or b""

    async def finish(self, claim: Claim, ending: Ending) -> bool:
        """Records how a claim ended. False: it was no longer ours, and nothing was recorded."""
        if len(ending.answer) > layout.INLINE_LIMIT:
            await self._client.set(layout.response_body_key(claim.job_id), ending.answer, ex=int(ending.ttl))
        if ending.delivery and len(ending.delivery_body) > layout.INLINE_LIMIT:
            key = layout.request_body_key(ending.delivery.delivery_id)
            await self._client.set(key, ending.delivery_body, ex=600)
        return await self._finishing.add((claim, ending))

    async def retry_later(self, claim: Claim, postponement: Postponement) -> bool:
        """Puts a claim off. False: it was no longer ours."""
        return await self._postponing.add((claim, postponement))

    async def renew(self, claims: Sequence[Claim]) -> None:
        if claims:
            await call(self._client, RENEW, LEASE, *[claim.entry for claim in claims])

    async def hand_back(self, claims: Sequence[Claim]) -> int:
        """Puts these claims at the head of their queues again. Returns how many were still ours."""
        if not claims:
            return 0
        entries = [claim.entry for claim in claims]
        return int(await call(self._client, HAND_BACK, self._worker, layout.rq_time(), *entries))

    async def reap(self, limit: int = 500) -> int:
        """Hands back what other workers left behind; returns how many."""
        return int(await call(self._client, REAP, layout.rq_time(), limit))

    async def promote(self, limit: int = 500) -> int:
        """Queues what has come due; returns how many."""
        return int(await call(self._client, PROMOTE, layout.rq_time(), limit))

    async def queues(self) -> dict[str, int]:
        """Every queue RQ knows, with its length."""
        names = [key.decode().removeprefix("rq:queue:") for key in await command(self._client, "SMEMBERS", "rq:queues")]
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.llen(layout.queue_key(name))
        return dict(zip(names, await pipeline.execute(), strict=True)) if names else {}

    async def _finish(self, items: Sequence[tuple[Claim, Ending]]) -> list[bool]:
        arguments: list[Any] = [self._worker, layout.rq_time(), layout.JOB_DATA]
        for claim, ending in items:
            arguments += _finish_arguments(claim, ending)
        return [reply == 1 for reply in await call(self._client, FINISH, *arguments)]

    async def _postpone(self, items: Sequence[tuple[Claim, Postponement]]) -> list[bool]:
        arguments: list[Any] = [self._worker]
        for claim, later in items:
            arguments += (claim.job_id, claim.execution, claim.queue, later.delay, later.failures)
            arguments += (_attempts_json(later.attempts), later.parent, later.parent_note)
        return [reply == 1 for reply in await call(self._client, RETRY_LATER, *arguments)]


def hand_back_all(client: redis.Redis, worker: str) -> int:
    """Puts back everything `worker` has claimed: for the supervisor of a worker process that died."""
    return int(call_blocking(client, HAND_BACK, worker, layout.rq_time()))


def read_work(job_id: str, queue: str, data: bytes, text: bytes) -> Invocation | Delivery | Foreign:
    """What a job's `data` and `call` fields ask for."""
    if not layout.is_our_data(data):
        return Foreign("its data is not an invocation of this platform")
    try:
        document = json.loads(text)
        if "to" in document:
            return Delivery.from_json(job_id, document)
        return Invocation.from_json(job_id, queue, document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        return Foreign(f"its call field does not parse ({type(exc).__name__})")


def _claim_of(row: list[bytes]) -> Claim:
    job_id, execution, queue = row[0].decode(), row[1].decode(), row[2].decode()
    return Claim(
        job_id=job_id,
        execution=execution,
        queue=queue,
        work=read_work(job_id, queue, row[3], row[4]),
        inline_body=row[5],
        large_size=int(row[6] or 0),
        failures=int(row[7]),
        attempts=_attempts_of(row[8]),
    )


def _attempts_of(text: bytes) -> tuple[Attempt, ...]:
    return tuple(Attempt(**attempt) for attempt in json.loads(text)) if text else ()


def _attempts_json(attempts: Sequence[Attempt]) -> bytes:
    return json.dumps([attempt.to_json() for attempt in attempts], separators=(",", ":")).encode()


def _finish_arguments(claim: Claim, ending: Ending) -> tuple[Any, ...]:
    succeeded = ending.state == "succeeded"
    large = len(ending.answer) > layout.INLINE_LIMIT
    delivery = ending.delivery
    large_delivery = len(ending.delivery_body) > layout.INLINE_LIMIT
    return (
        claim.job_id,
        claim.execution,
        claim.queue,
        ending.counter,
        ending.state,
        int(ending.ttl),
        ending.response.to_json() if ending.response else b"",
        b"" if large else ending.answer,
        len(ending.answer) if large else b"",
        _RQ_SUCCESSFUL if succeeded else _RQ_FAILED,
        layout.rq_return_value(ending.note) if succeeded else b"",
        b"" if succeeded else layout.rq_exc_string(ending.note),
        _attempts_json(ending.attempts),
        claim.claimed_at,
        delivery.delivery_id if delivery else b"",
        delivery.to_json() if delivery else b"",
        b"" if large_delivery else ending.delivery_body,
        len(ending.delivery_body) if large_delivery else b"",
        int(ending.delivery_timeout),
        ending.parent,
        ending.parent_note,
    )
