"""Priorities within a function's queue: each but the normal one has a queue beside it, as is RQ's custom."""

from __future__ import annotations

NORMAL = "normal"
PRIORITIES = ("high", NORMAL, "low")
"""Those that come first, first."""

_SUFFIXES = tuple(f":{priority}" for priority in PRIORITIES if priority != NORMAL)


def priority_queue(queue: str, priority: str) -> str:
    """The queue beside `queue` where calls of this priority wait; `queue` itself for normal ones."""
    return queue if priority == NORMAL else f"{queue}:{priority}"


def priority_queues(queue: str) -> tuple[str, ...]:
    """`queue` and those beside it, in the order in which they are served."""
    return tuple(priority_queue(queue, priority) for priority in PRIORITIES)


def split_priority(queue: str) -> tuple[str, str]:
    """("echo", "high") for "echo:high", ("echo", "normal") for "echo". Not for queues of callbacks."""
    base, colon, priority = queue.rpartition(":")
    return (base, priority) if colon and queue.endswith(_SUFFIXES) else (queue, NORMAL)


def is_priority_queue(queue: str) -> bool:
    """Whether its name is kept for calls of a priority other than the normal one."""
    return queue.endswith(_SUFFIXES)
