"""When a queue takes no more calls, and when to come back."""

from __future__ import annotations

from swarmfn.jobs.terms import Full, QueueLimits
from swarmfn.wire.durations import format_duration
from swarmfn.wire.errors import Overloaded
from swarmfn.wire.replicas import Route

_SOONEST, _LATEST = 1.0, 60.0
_SHARE = 10


def limits_of(route: Route, max_depth: int, max_age: float) -> QueueLimits | None:
    """The limits that hold for a function's queue: its own, else these; None without any."""
    policy = route.policy
    depth = max_depth if policy.max_depth is None else policy.max_depth
    age = max_age if policy.max_queue_age is None else policy.max_queue_age
    return QueueLimits(route.queue, depth, age) if depth or age else None


def overloaded(route: Route, limits: QueueLimits | None, full: Full, max_put_off: int = 0) -> Overloaded:
    """What the caller is told."""
    limits = limits or QueueLimits(route.queue)
    if full.by_put_off:
        return Overloaded(
            f"no more calls can be put off: all queues hold {full.depth}, and the limit is {max_put_off} "
            "(async_max_put_off).",
            "Send it again after the time in Retry-After, or without a delay.",
            _LATEST,
        )
    if full.by_age:
        problem = f"its first call has waited longer than {format_duration(limits.max_age)} (queue_max_age)"
    else:
        problem = f"{full.depth} calls wait or are put off, and its limit is {limits.max_depth} (queue_max_depth)"
    return Overloaded(
        f'the queue "{limits.queue}" accepts no more calls: {problem}.',
        "Send it again after the time in Retry-After.",
        retry_after(full, limits),
    )


def retry_after(full: Full, limits: QueueLimits) -> float:
    """Seconds. A queue that moves has moved once in the time its first call has waited, so a tenth of it is gone in a
    tenth of that; one that is too old is as much too late as it is over its limit."""
    seconds = full.age - limits.max_age if full.by_age else full.age / _SHARE
    return min(max(seconds, _SOONEST), _LATEST)
