"""Calls by how they fare, for an operator: listed a page at a time, shown, run again, taken away.

What did not succeed is in an index of ours, by time for each function; the rest is read from RQ's own lists.
Everything works in bounded steps: nothing here holds up Redis, whatever a million calls do.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from swarmfn.jobs import keys, layout, records
from swarmfn.jobs.listing import Cursor, Listing, list_dead_letters, list_queues
from swarmfn.jobs.redis_commands import call_blocking
from swarmfn.jobs.scripts import PURGE, REDRIVE
from swarmfn.wire.errors import NewerLayout

INDEXED_STATES = ("failed", "expired", "cancelled", "undelivered")
"""States that have an index by time, the one of dead letters; `undelivered` is that of a callback."""

STATES = (*INDEXED_STATES, "succeeded", "queued", "scheduled", "retrying", "running")
REDRIVABLE = ("failed", "expired", "undelivered")
PURGEABLE = tuple(state for state in STATES if state != "running")

AT_ONCE = 200
"""Calls in one step of a large job."""

_LOOKED_AT = 2000
"""Records that are read for one page at most."""

_RQ_STATUS = {
    "queued": "queued",
    "scheduled": "scheduled",
    "retrying": "scheduled",
    "succeeded": "finished",
    "cancelled": "canceled",
}


@dataclass(frozen=True)
class Selection:
    """Calls in one of STATES, of all functions or one; of INDEXED_STATES, those that ended between two moments, which
    are Unix seconds."""

    state: str = "failed"
    function: str = ""
    since: float | None = None
    until: float | None = None

    def matches(self, record: records.Record) -> bool:
        """Whether a record is what was asked for: the lists name some that have moved on."""
        if self.function and record.function != self.function:
            return False
        if self.state == "undelivered":
            return bool(record.reports) and record.state == "failed"
        return not record.reports and record.state == self.state


@dataclass(frozen=True)
class Page:
    """Some records, and where the next page begins; None at the end. A page may be short, or empty, before it."""

    records: list[records.Record]
    cursor: Cursor | None


@dataclass(frozen=True)
class Done:
    """What a redrive or purge did: how many calls met each end of the step, and whether all of the selection was gone
    through in the time it had."""

    replies: Counter[str]
    is_complete: bool


class CallsByState:
    """Belongs to threads. Raises the client's errors when Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def page(self, selection: Selection, limit: int, cursor: Cursor | None = None) -> Page:
        """Up to `limit` records, the newest first; queued ones in their order. `cursor` is of a page of the same
        selection."""
        listing = self._listing(selection)
        found: list[records.Record] = []
        looked_at = 0
        while looked_at < _LOOKED_AT:
            listed = listing.page(cursor, limit if looked_at == 0 else AT_ONCE)
            for job, record in zip(listed, self.records([job.job_id for job in listed]), strict=True):
                cursor = job.cursor
                if record is not None and selection.matches(record):
                    found.append(record)
                    if len(found) == limit:
                        return Page(found, cursor)
            if not listed:
                return Page(found, None)
            looked_at += len(listed)
        return Page(found, cursor)

    def records(self, job_ids: Sequence[str]) -> list[records.Record | None]:
        """What is known of each job; None where there is none, none of ours, or one that only a newer version reads."""
        pipeline: Any = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hmget(keys.job(job_id), *records.FIELDS)
        rows = pipeline.execute(raise_on_error=False) if job_ids else []
        return [_readable(job_id, row) for job_id, row in zip(job_ids, rows, strict=True)]

    def call(self, job_id: str) -> dict[str, Any]:
        """What a job was stored with; {} when that cannot be read."""
        untyped: Any = self._client
        try:
            document = json.loads(untyped.hget(keys.job(job_id), "call") or b"{}")
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def body_size(self, job_id: str) -> int:
        """Bytes of the body that is kept."""
        untyped: Any = self._client
        large = untyped.strlen(keys.request_body(job_id))
        return int(large or untyped.hstrlen(keys.job(job_id), "body"))

    def redrive(self, job_ids: Sequence[str]) -> list[str]:
        """Queues these again, attempts starting again. For each REDRIVE's reply."""
        return self._in_steps(
            job_ids, lambda ids: call_blocking(self._client, REDRIVE, _items(ids), moment=layout.rq_time())
        )

    def redrive_all(self, selection: Selection, seconds: float) -> Done:
        """Queues again what is in the selection now, the oldest first, for about `seconds`."""
        return self._for_all(selection, seconds, self.redrive)

    def purge(self, job_ids: Sequence[str], status: str = "") -> list[str]:
        """Takes these away, if they have RQ's `status`. For each PURGE's reply."""
        return self._in_steps(job_ids, lambda ids: call_blocking(self._client, PURGE, _items(ids, status=status)))

    def purge_all(self, selection: Selection, seconds: float) -> Done:
        """Takes away what is in the selection now, the oldest first, for about `seconds`."""
        status = _RQ_STATUS.get(selection.state, "failed")
        return self._for_all(selection, seconds, lambda ids: self.purge(ids, status))

    def _for_all(self, selection: Selection, seconds: float, step: Callable[[Sequence[str]], list[str]]) -> Done:
        end = time.monotonic() + seconds
        replies: Counter[str] = Counter()
        for ids in self._listing(selection).batches(AT_ONCE):
            if time.monotonic() > end:
                return Done(replies, is_complete=False)
            known = zip(ids, self.records(ids), strict=True)
            wanted = [job_id for job_id, record in known if record is not None and selection.matches(record)]
            replies.update(step(wanted))
        return Done(replies, is_complete=True)

    def _in_steps(self, job_ids: Sequence[str], step: Callable[[Sequence[str]], list[bytes]]) -> list[str]:
        replies: list[bytes] = []
        for ids in _chunks(job_ids):
            replies += step(ids)
        return [reply.decode("utf-8", "replace") for reply in replies]

    def _listing(self, selection: Selection) -> Listing:
        if selection.state in INDEXED_STATES:
            return list_dead_letters(
                self._client, selection.state, selection.function, selection.since, selection.until
            )
        return list_queues(self._client, selection.state)


def _chunks(job_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(job_ids), AT_ONCE):
        yield job_ids[first : first + AT_ONCE]


def _items(job_ids: Sequence[str], **also: str) -> list[dict[str, str]]:
    return [{"id": job_id, **also} for job_id in job_ids]


def _readable(job_id: str, row: Any) -> records.Record | None:
    try:
        return records.record_of(job_id, row) if isinstance(row, list) else None
    except NewerLayout:
        return None
