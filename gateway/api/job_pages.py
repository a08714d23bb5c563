"""One page of a queue's jobs for the dashboard.

rq-dashboard's own reading takes more records the further a page is down the list, one round trip each: far down a
long queue that is hundreds of thousands in one request. This reads the page and no more.
"""

from __future__ import annotations

import json
from typing import Any

import rq_dashboard.web
from flask import Response, current_app, jsonify
from redis import Redis
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)

from gateway.api.job_view import ViewedJob, ViewedQueue

QUEUED = "queued"
_MOMENTS = ("created_at", "enqueued_at", "started_at", "ended_at")

_KINDS: dict[str, type[BaseRegistry]] = {
    "scheduled": ScheduledJobRegistry,
    "deferred": DeferredJobRegistry,
    "started": StartedJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "canceled": CanceledJobRegistry,
}

REGISTRIES = frozenset({QUEUED, *_KINDS})
"""Where a job can be, as the dashboard's addresses name it."""


def jobs_on_page(
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Redis
) -> tuple[int, list[dict[str, Any]]]:
    """How many jobs there are in total, and those from `offset` on in `order` (`asc` or `dsc`), as the page wants them.

    Takes the place of the dashboard's `get_queue_registry_jobs_count`.
    """
    queue = ViewedQueue(queue_name, connection=connection)
    registry = None if registry_name == QUEUED else _KINDS[registry_name](queue_name, connection=connection)
    total = queue.count if registry is None else registry.get_job_count(cleanup=False)
    start, length = _window(total, offset, per_page, order)
    if length <= 0:
        return total, []
    untyped: Any = connection
    last = start + length - 1
    entries = untyped.lrange(queue.key, start, last) if registry is None else untyped.zrange(registry.key, start, last)
    ids = [_id_of(entry, registry) for entry in entries]
    if order == "dsc":
        ids.reverse()
    jobs = [job for job in map(queue.fetch_job, ids) if job]
    return total, [rq_dashboard.web.serialize_job(job) for job in jobs]


def job_info(instance_number: int, job_id: str) -> Response:
    """A job as its page shows it. Takes the place of the dashboard's, which takes ids apart at colons."""
    job = ViewedJob.fetch(job_id, current_app.redis_conn)  # type: ignore[attr-defined]
    result = job.latest_result()
    document: dict[str, Any] = {
        **{name: rq_dashboard.web.serialize_date(getattr(job, name)) for name in _MOMENTS},
        "id": job.id,
        "origin": job.origin,
        "status": job.get_status(),
        "result": job.return_value(),
        "exc_info": result.exc_string if result else None,
        "description": job.description,
        "metadata": json.dumps(job.get_meta()),
    }
    if needed := sorted(job.dependency_ids):
        there = [job.connection.exists(ViewedJob.key_for(one)) for one in needed]
        document |= {"depends_on": needed, "depends_on_status": ["active" if one else "expired" for one in there]}
    answer = jsonify(document)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _id_of(entry: bytes, registry: BaseRegistry | None) -> str:
    """RQ would take every id apart at colons. Of what runs, the execution stands behind the job's id."""
    text = entry.decode(errors="replace")
    return text.rpartition(":")[0] or text if isinstance(registry, StartedJobRegistry) else text


def _window(total: int, offset: int, per_page: int, order: str) -> tuple[int, int]:
    """First index and length of a page in a list that is kept in ascending order."""
    if order == "asc":
        return offset, min(per_page, total - offset)
    end = total - offset
    return max(0, end - per_page), min(per_page, end)
