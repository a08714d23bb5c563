"""The submitting side: storing calls, and reading what became of them. One object for an event loop."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from swarmfn.jobs import keys, layout, records
from swarmfn.jobs.batches import Batcher
from swarmfn.jobs.redis_clients import Connections
from swarmfn.jobs.redis_commands import Unreachable, call, command, refused, unavailable
from swarmfn.jobs.scripts import CANCEL, SUBMIT
from swarmfn.jobs.terms import PLAIN, Full, Replay, Terms, full_of
from swarmfn.jobs.uploads import Upload
from swarmfn.wire.errors import KeyReused
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.priorities import PRIORITIES, priority_queue, split_priority

_Reply = bool | str | list[Any]
"""Stored or not, an error's text, or what the call's terms led to."""

_LIVE = frozenset({b"queued", b"started", b"scheduled", b"deferred"})


ANSWER_PIECE = 256 * 1024
"""Bytes of a large answer that are read at a time."""


class AnswerPiece(NamedTuple):
    """A part of a stored answer, and how long the whole one is."""

    data: bytes
    size: int


class _Submission(NamedTuple):
    """inline: the body, unless it is so large that it lies under `upload_key`; size: the body's, in bytes."""

    invocation: Invocation
    call: bytes
    inline: bytes
    size: int
    upload_key: str
    terms: Terms


def _bytes_of(item: _Submission) -> int:
    return len(item.call) + len(item.inline)


class Submissions:
    """Stores invocations in Redis, all those of one turn of the loop in one round trip. upload_ttl: seconds after which
    an upload goes away that has had no further piece."""

    def __init__(self, connections: Connections, upload_ttl: int = layout.UPLOAD_TTL) -> None:
        self._client = connections.commands
        self._transfers = connections.transfers
        self._upload_ttl = upload_ttl
        self._batches: Batcher[_Submission, _Reply] = Batcher(self._store, _bytes_of)

    def begin_upload(self, call_id: str) -> Upload:
        """For the body of a call that will be submitted, under this id or another."""
        return Upload(self._transfers, call_id, self._upload_ttl)

    async def probe(self, invocation: Invocation, terms: Terms) -> bool | Replay | Full:
        """What `submit` would say, as far as that does not depend on the body. Raises as that does."""
        item = _Submission(invocation, invocation.to_json(), b"", 0, "", replace(terms, is_probe=True))
        try:
            return _outcome(await self._batches.add(item))
        except Unreachable as exc:
            raise unavailable(exc) from exc

    async def submit(self, invocation: Invocation, body: bytes | Upload, terms: Terms = PLAIN) -> bool | Replay | Full:
        """Stores one call. False: its id is taken and nothing was stored; a Replay: neither was it, because its
        idempotency key is that of an earlier call; Full: nor then, because its queue has passed its limits. An Upload
        is still there only when the id was taken.

        Returns only after Redis has acknowledged it. Raises QueueUnavailable when Redis did not; the call may
        nevertheless be stored, if only the reply was lost, and then submitting the very same call again says True.
        Raises KeyReused when the call's key is another one's.
        """
        if isinstance(body, Upload):
            item = _Submission(invocation, invocation.to_json(), b"", len(body), body.key, terms)
        elif len(body) <= layout.INLINE_LIMIT:
            item = _Submission(invocation, invocation.to_json(), body, len(body), "", terms)
        else:
            return await self._submit_large(invocation, body, terms)
        try:
            reply = await self._batches.add(item)
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return True if reply is True else _outcome(reply)

    async def _submit_large(self, invocation: Invocation, body: bytes, terms: Terms) -> bool | Replay | Full:
        if terms is not PLAIN:
            # A Redis that has too much already is not sent a large body only to refuse it.
            would = await self.probe(invocation, terms)
            if would is not True:
                return would
        # Over other connections, so that a large body does not hold up everyone's batch, and under a name of its own
        # until the id is known to be free.
        with self.begin_upload(invocation.call_id) as upload:
            await upload.append(body)
            stored = await self.submit(invocation, upload, terms)
            if stored is False:
                await upload.remove()
            return stored

    async def record(self, call_id: str) -> records.Record | None:
        """What is known of a call, or None. Raises QueueUnavailable."""
        try:
            values = await command(self._client, "HMGET", keys.job(call_id), *records.FIELDS)
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return records.record_of(call_id, values)

    async def ended(self, call_ids: Collection[str]) -> set[str]:
        """Those of `call_ids` that have ended or are not on record. Raises QueueUnavailable."""
        pipeline: Any = self._client.pipeline(transaction=False)
        for call_id in call_ids:
            pipeline.hget(keys.job(call_id), "status")
        try:
            statuses = await pipeline.execute(raise_on_error=False)
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return {call_id for call_id, status in zip(call_ids, statuses, strict=True) if status not in _LIVE}

    async def answer_piece(self, record: records.Record, offset: int) -> AnswerPiece | None:
        """What is kept of a final call's response, from `offset` up to ANSWER_PIECE bytes; a small one whole. None when
        it is not kept any more, or the call has run again. Raises QueueUnavailable."""
        try:
            if not record.has_large_answer:
                body = await command(self._client, "HGET", keys.job(record.call_id), "answer") or b""
                return AnswerPiece(body[offset:], len(body))
            key = keys.response_body(record.call_id)
            # No transaction: a Redis whose memory is full refuses those. The time, read last, tells that what was read
            # before is of this run: the answer does not outlive it.
            pipeline: Any = self._transfers.pipeline(transaction=False)
            pipeline.strlen(key)
            pipeline.getrange(key, offset, offset + ANSWER_PIECE - 1)
            pipeline.hget(keys.job(record.call_id), "ended_at")
            size, data, ended_at = await pipeline.execute()
        except Unreachable as exc:
            raise unavailable(exc) from exc
        is_same = (ended_at or b"").decode("utf-8", "replace") == record.ended_at
        return AnswerPiece(data, size) if is_same and data else None

    async def position(self, record: records.Record) -> int | None:
        """How many calls of its queue come before a queued one, those of a higher priority included; of one that is
        over its function's limit, how many of that function. None when it is not queued, or there are more than 10,000
        of its own priority."""
        base, priority = split_priority(record.queue)
        higher = [priority_queue(base, other) for other in PRIORITIES[: PRIORITIES.index(priority)]]
        pipeline: Any = self._client.pipeline(transaction=False)
        pipeline.lpos(keys.queue(record.queue), record.call_id, maxlen=10_000)
        pipeline.lpos(keys.held(record.function, record.queue), record.call_id, maxlen=10_000)
        for queue in higher:
            pipeline.llen(keys.queue(queue))
        for queue in [*higher, record.queue]:
            pipeline.llen(keys.held(record.function, queue))
        try:
            place, held, *lengths = await pipeline.execute()
        except Unreachable as exc:
            raise unavailable(exc) from exc
        if held is not None:
            return int(held) + int(sum(lengths[len(higher) : -1]))
        return None if place is None else int(place) + sum(lengths)

    async def due(self, record: records.Record) -> float | None:
        """When a call that was put off is queued again, Unix seconds; None when it is not put off."""
        try:
            due = await command(self._client, "ZSCORE", keys.scheduled(record.queue), record.call_id)
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return None if due is None else float(due)

    async def cancel(self, call_id: str) -> str:
        """Ends a call that has not ended. Returns what it was: `queued`, `scheduled` or `started`; or `final`, and
        `unknown` when there is no such call. Raises QueueUnavailable."""
        try:
            was = await call(
                self._client,
                CANCEL,
                id=call_id,
                moment=layout.rq_time(),
                ttl=layout.CANCELLED_TTL,
                margin=layout.RECORD_MARGIN,
            )
        except Unreachable as exc:
            raise unavailable(exc) from exc
        return str(was.decode())

    async def _store(self, items: Sequence[_Submission]) -> list[_Reply]:
        submitted = [_item_of(item) for item in items]
        replies = await call(self._client, SUBMIT, submitted, data=layout.JOB_DATA, moment=layout.rq_time())
        return [True if reply == 1 else _read(reply) for reply in replies]


def _item_of(item: _Submission) -> dict[str, Any]:
    invocation = item.invocation
    return {
        "id": invocation.call_id,
        "queue": invocation.queue,
        "fn": invocation.function,
        "call": item.call,
        "body": item.inline,
        "size": item.size,
        "upload": item.upload_key,
        "timeout": math.ceil(invocation.exec_timeout) + layout.PLAIN_RQ_MARGIN,
        "terms": b"" if item.terms is PLAIN else item.terms.to_json(),
    }


def _read(reply: Any) -> _Reply:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "replace")
    return reply if isinstance(reply, list) else False


def _outcome(reply: _Reply) -> bool | Replay | Full:
    """Raises QueueUnavailable or KeyReused."""
    if isinstance(reply, str):
        raise refused(reply)
    return _by_terms(reply) if isinstance(reply, list) else reply


def _by_terms(reply: list[Any]) -> Replay | Full:
    """What a call's terms led to. Raises KeyReused."""
    match reply:
        case [b"replay", call_id]:
            return Replay(call_id.decode())
        case [b"full", limit, depth, since]:
            return full_of(limit, depth, since)
        case [b"reused"]:
            raise KeyReused
    raise RuntimeError(f"an unknown reply to a call's terms: {reply!r:.100}")
