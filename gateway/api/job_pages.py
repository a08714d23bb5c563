"""One page of a queue's jobs for the dashboard.

rq-dashboard's own reading takes more records the further a page is down the list, one round trip each: far down a
long queue that is hundreds of thousands in one request. This reads the page and no more.
"""

from __future__ import annotations

from typing import Any

import rq_dashboard.web
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

from gateway.api.job_view import ViewedQueue

QUEUED = "queued"

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
    """How many jobs there are in all, and those from `offset` on in `order` (`asc` or `dsc`), as the page wants them.

    Takes the place of the dashboard's `get_queue_registry_jobs_count`.
    """
    queue = ViewedQueue(queue_name, connection=connection)
    registry = None if registry_name == QUEUED else _KINDS[registry_name](queue_name, connection=connection)
    total = queue.count if registry is None else registry.get_job_count(cleanup=False)
    start, length = _window(total, offset, per_page, order)
    if length <= 0:
        return total, []
    if registry is None:
        ids = queue.get_job_ids(start, length)
    else:
        ids = registry.get_job_ids(start, start + length - 1, cleanup=False)
    if order == "dsc":
        ids.reverse()
    jobs = [job for job in map(queue.fetch_job, ids) if job]
    return total, [rq_dashboard.web.serialize_job(job) for job in jobs]


def _window(total: int, offset: int, per_page: int, order: str) -> tuple[int, int]:
    """First index and length of a page in a list that is kept in ascending order."""
    if order == "asc":
        return offset, min(per_page, total - offset)
    end = total - offset
    return max(0, end - per_page), min(per_page, end)
