"""The running side: claiming, renewing, finishing and putting off calls. One object for each worker process."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from swarmfn.jobs import keys, layout
from swarmfn.jobs.batches import Batcher
from swarmfn.jobs.claim import Claim, claim_of
from swarmfn.jobs.completions import Completion, Postponement, finish_item, postponement_item
from swarmfn.jobs.redis_clients import Connections
from swarmfn.jobs.redis_commands import call, call_blocking, command, store
from swarmfn.jobs.scripts import CLAIM, FINISH, HAND_BACK, INHERIT, LET_GO, PROMOTE, REAP, RENEW, RETRY_LATER, TIDY

LEASE = 12.0
"""Seconds a claim is this worker's without being renewed, unless set otherwise; then any worker may hand it back."""

_BODY_PIECE = 4 * 2**20
_LONGEST_LEASE = 600.0
_TIDIED_AT_ONCE = 100


class CannotRecord(Exception):
    """Redis holds something under one of the call's keys that makes recording impossible; trying again is useless."""


@dataclass(frozen=True, slots=True)
class ClaimBatch:
    """What one claim brought: `more` names the queues that may hold more."""

    claims: list[Claim]
    more: list[str]


@dataclass(frozen=True, slots=True)
class Promoted:
    """`clock`: the time by Redis's clock; `due_in`: seconds until something else is due; `cancelled`: the entries of
    this worker's claims that were cancelled in the last half minute."""

    clock: float
    due_in: float | None = None
    cancelled: frozenset[str] = frozenset()


class Consumer:
    """The steps of a job's life that one worker takes. All raise the client's errors when Redis is away."""

    def __init__(self, connections: Connections, worker: str, lease: float = LEASE) -> None:
        self._client = connections.commands
        self._transfers = connections.transfers
        self._vital = connections.vital
        self._worker = worker
        self._batch_number = 0
        self.lease = lease
        self._finishing: Batcher[tuple[Claim, Completion], bool | str] = Batcher(
            self._finish, lambda item: item[1].inline_size
        )
        self._postponing: Batcher[tuple[Claim, Postponement], bool | str] = Batcher(self._postpone, lambda item: 300)

    async def claim(
        self, wants: Sequence[tuple[str, int]], limits: Callable[[str], str] = lambda queue: ""
    ) -> ClaimBatch:
        """Jobs of the queues in `wants`, of each up to the number there, in one trip. `limits` gives for a queue with
        limited functions JSON such as {"limits": {"echo": 2}, "others": false}; the claims of all workers count."""
        self._batch_number += 1
        # Unique among all workers and restarts of the same name: it is what fences off a late finisher.
        prefix = f"{self._worker[:12]}-{time.time_ns():x}-{self._batch_number}-"
        rows, more = await call(
            self._client,
            CLAIM,
            [{"queue": queue, "wanted": count, "limits": limits(queue)} for queue, count in wants],
            worker=self._worker,
            prefix=prefix,
            lease=self.lease,
            moment=layout.rq_time(),
            data=layout.JOB_DATA,
        )
        return ClaimBatch([claim_of(row) for row in rows], [name.decode() for name in more])

    async def body(self, claim: Claim) -> bytes | None:
        """The request body, fetched if it is a large one; None when it is no longer stored."""
        if not claim.large_size:
            return claim.inline_body
        # In pieces: whole, it would be in memory twice while it arrives. BytesIO gives what it has without a copy.
        body, key = io.BytesIO(), keys.request_body(claim.job_id)
        while (start := body.tell()) < claim.large_size:
            end = min(start + _BODY_PIECE, claim.large_size) - 1
            piece = await command(self._transfers, "GETRANGE", key, start, end)
            if not piece:
                return None
            body.write(piece)
        return body.getvalue()

    async def finish(self, claim: Claim, completion: Completion) -> bool:
        """Records how a claim ended. False: it was no longer ours, and nothing was recorded. May be repeated when the
        reply was lost. Raises CannotRecord."""
        # Large bodies go first, over other connections, under names of this execution's own: they must not replace
        # those of a worker that has taken over.
        if completion.has_large_answer:
            await self._upload(claim.job_id, claim, completion.answer)
        if completion.delivery is not None and completion.has_large_delivery:
            await self._upload(completion.delivery.delivery_id, claim, completion.delivery_body)
        return _yes_or_no(await self._finishing.add((claim, completion)))

    async def retry_later(self, claim: Claim, postponement: Postponement) -> bool:
        """Puts a claim off. False: it was no longer ours. Raises CannotRecord."""
        return _yes_or_no(await self._postponing.add((claim, postponement)))

    async def renew(self, claims: Collection[Claim]) -> frozenset[str]:
        """Prolongs the leases; returns the entries of those claims that are no longer ours."""
        if not claims:
            return frozenset()
        entries = [claim.entry for claim in claims]
        lost = await call(self._vital, RENEW, entries, worker=self._worker, lease=self.lease)
        return frozenset(entry.decode() for entry in lost)

    async def hand_back(self, claims: Sequence[Claim]) -> int:
        """Puts these claims at the head of their queues again. Returns how many were still ours."""
        if not claims:
            return 0
        entries = [claim.entry for claim in claims]
        return int(await call(self._client, HAND_BACK, entries, worker=self._worker, moment=layout.rq_time()))

    async def reap(self, limit: int = 500) -> int:
        """Hands back what other workers left behind; returns how many."""
        longest = max(_LONGEST_LEASE, 4 * self.lease)
        return int(await call(self._vital, REAP, moment=layout.rq_time(), limit=limit, longest=longest))

    async def promote(self, limit: int = 500) -> Promoted:
        """Queues all that has come due, `limit` at a time, and hears what was cancelled."""
        while True:
            looked_at, clock, due_in, stop = await call(
                self._vital, PROMOTE, moment=layout.rq_time(), limit=limit, worker=self._worker
            )
            if looked_at < limit:
                cancelled = frozenset(entry.decode() for entry in stop)
                return Promoted(float(clock), float(due_in) if due_in else None, cancelled)

    async def tidy(self) -> None:
        """Cleans up what has expired or belongs to nothing. Enough about once a minute, by any worker."""
        names = await self._queue_names()
        for earlier, present in ((name, layout.successor(name)) for name in names):
            while present and await call(self._vital, INHERIT, earlier=earlier, present=present, limit=_TIDIED_AT_ONCE):
                pass
        while await call(self._vital, TIDY, await self._queue_names(), limit=_TIDIED_AT_ONCE):
            pass

    async def queues(self) -> dict[str, int]:
        """Every queue that holds calls of ours, or has held some recently, with its length."""
        names = await self._queue_names()
        pipeline = self._vital.pipeline(transaction=False)
        for name in names:
            pipeline.llen(keys.queue(name))
        if not names:
            return {}
        lengths = await pipeline.execute(raise_on_error=False)
        return {name: length for name, length in zip(names, lengths, strict=True) if isinstance(length, int)}

    async def claim_alone(self, limits: str) -> ClaimBatch:
        """One of the jobs that are to run alone; `more` is not empty while there are others.
        `limits` is as for `claim`, of all functions together."""
        return await self.claim([(keys.ALONE, 1)], lambda _: limits)

    async def waiting_alone(self) -> int:
        """How many jobs are to run alone."""
        return int(await command(self._vital, "LLEN", keys.ALONE))

    async def held(self) -> list[tuple[str, str]]:
        """Functions of which calls wait for room within their limit, each with the queue those are on."""
        names = await command(self._vital, "SMEMBERS", keys.HELD)
        pairs = (name.decode("utf-8", "replace").partition(":") for name in names)
        return [(function, queue) for function, _, queue in pairs]

    async def let_go(self, function: str, queue: str, at_once: int = 500) -> None:
        """Puts calls that were held back for a limit at the head of their queue again."""
        while await call(self._vital, LET_GO, fn=function, queue=queue, limit=at_once) == at_once:
            pass

    async def _queue_names(self) -> list[str]:
        names = await command(self._vital, "SMEMBERS", keys.QUEUES)
        return [name.decode("utf-8", "replace") for name in names]

    async def _upload(self, job_id: str, claim: Claim, body: bytes | memoryview) -> None:
        await store(self._transfers, keys.upload(job_id, claim.execution), body, layout.UPLOAD_TTL)

    async def _finish(self, items: Sequence[tuple[Claim, Completion]]) -> list[bool | str]:
        replies = await call(
            self._client,
            FINISH,
            [finish_item(claim, completion) for claim, completion in items],
            worker=self._worker,
            moment=layout.rq_time(),
            data=layout.JOB_DATA,
            margin=layout.RECORD_MARGIN,
        )
        return _replies(replies)

    async def _postpone(self, items: Sequence[tuple[Claim, Postponement]]) -> list[bool | str]:
        postponed = [postponement_item(claim, later) for claim, later in items]
        return _replies(await call(self._client, RETRY_LATER, postponed, worker=self._worker))


def hand_back_all(client: redis.Redis, worker: str) -> int:
    """Puts back everything `worker` has claimed, to be run alone: for who looks after a worker process that died. A job
    is charged with that death only when it was the only one there."""
    return int(call_blocking(client, HAND_BACK, worker=worker, moment=layout.rq_time()))


def _replies(values: Sequence[Any]) -> list[bool | str]:
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value == 1 for value in values]


def _yes_or_no(reply: bool | str) -> bool:
    if isinstance(reply, str):
        raise CannotRecord(reply)
    return reply
