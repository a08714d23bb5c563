"""The submitting side: storing calls, and reading what became of them. One object for an event loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio

from swarmfn.jobs import layout, records
from swarmfn.jobs.batches import Batcher
from swarmfn.jobs.connection import Unreachable, call, command, unavailable
from swarmfn.jobs.scripts import SUBMIT
from swarmfn.wire.invocations import Invocation

STOCK_MARGIN = 30
"""Seconds a stock `rq worker` grants beyond exec_timeout, for connecting and reading the answer."""

_ABANDONED_BODY_TTL = 600
"""Seconds after which a large body goes away whose call was never stored."""


@dataclass(frozen=True, slots=True)
class _Submission:
    invocation: Invocation
    call: bytes
    body: bytes

    @property
    def is_large(self) -> bool:
        return len(self.body) > layout.INLINE_LIMIT


class Submissions:
    """Stores invocations in Redis, all those of one turn of the loop in one round trip."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._batches: Batcher[_Submission, bool] = Batcher(self._store, lambda item: len(item.call) + len(item.body))

    async def submit(self, invocation: Invocation, body: bytes) -> bool:
        """Stores one call. False: its id is taken and nothing was stored.

        Returns only after Redis has acknowledged it. Raises QueueUnavailable when Redis did not; the call may
        nevertheless be stored, if only the reply was lost.
        """
        item = _Submission(invocation, invocation.to_json(), body)
        try:
            if item.is_large:
                # Over a connection of its own, so that a large body does not hold up everyone's batch.
                key = layout.request_body_key(invocation.call_id)
                if not await self._client.set(key, body, nx=True, ex=_ABANDONED_BODY_TTL):
                    return False
            return await self._batches.add(item)
        except Unreachable as exc:
            raise unavailable(exc) from exc

    async def record(self, call_id: str) -> records.Record | None:
        """What is known of a call, or None. Raises QueueUnavailable."""
        try:
            values = await command(self._client, "HMGET", layout.job_key(call_id), *records.FIELDS)
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return records.record_of(call_id, values)

    async def answer(self, record: records.Record) -> bytes:
        """The kept body of a final call's response. Raises QueueUnavailable."""
        try:
            if record.has_large_answer:
                body = await command(self._client, "GET", layout.response_body_key(record.call_id))
            else:
                body = await command(self._client, "HGET", layout.job_key(record.call_id), "answer")
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return bytes(body or b"")

    async def position(self, record: records.Record) -> int | None:
        """How many calls of its queue come before a queued one, up to 10,000; None when it is further back or not
        queued."""
        try:
            place = await command(
                self._client, "LPOS", layout.queue_key(record.queue), record.call_id, "MAXLEN", 10_000
            )
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return None if place is None else int(place)

    async def _store(self, items: Sequence[_Submission]) -> list[bool]:
        arguments: list[bytes | str | int] = [layout.JOB_DATA, layout.rq_time()]
        for item in items:
            invocation = item.invocation
            large = str(len(item.body)) if item.is_large else ""
            arguments += (
                invocation.call_id,
                invocation.queue,
                invocation.function,
                item.call,
                b"" if item.is_large else item.body,
                large,
                math.ceil(invocation.exec_timeout) + STOCK_MARGIN,
            )
        return [reply == 1 for reply in await call(self._client, SUBMIT, *arguments)]
