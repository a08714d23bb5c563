"""The name of every key in Redis that the queue touches, once for Python and for the Lua scripts.

A script says in its comment which of these constants it uses. One whose name ends in `:` is the beginning of many; the
functions complete it. docs/reference/jobs.md says what each key holds.
"""

from __future__ import annotations

# --- RQ's own (rq 3.0) ---

JOB = "rq:job:"
QUEUE = "rq:queue:"
RQ_QUEUES = "rq:queues"
"""Set of the keys of all queues, other people's too."""

WIP = "rq:wip:"
SCHEDULED = "rq:scheduled:"
DEFERRED = "rq:deferred:"
FINISHED = "rq:finished:"
FAILED = "rq:failed:"
CANCELED = "rq:canceled:"
RESULTS = "rq:results:"
WORKER = "rq:worker:"
WORKERS = "rq:workers"
"""Set of the keys of all workers."""

WORKERS_OF = "rq:workers:"
EXECUTION = "rq:execution:"
SUSPENDED = "rq:suspended"
"""While it exists, as after `rq suspend`, nobody claims anything."""

# --- ours ---

QUEUES = "swarmfn:queues"
"""Set of the names of queues that hold calls of ours."""

VERSION = "swarmfn:layout"
"""The version of the layout that what is stored here needs of its readers (wire's `VERSION` when it was written)."""

LEASES = "swarmfn:leases"
CLAIMS = "swarmfn:claims:"
RUNNING = "swarmfn:running:"
STOP = "swarmfn:stop:"
DUE = "swarmfn:due"
BODY = "swarmfn:body:"
BODIES = "swarmfn:bodies"
"""Set of the ids of jobs with a large request body: how a body is found whose job was deleted."""

RESPONSE = "swarmfn:response:"
UPLOAD = "swarmfn:upload:"
IDEMPOTENCY = "swarmfn:idempotency:"
SET_ASIDE = "swarmfn:set-aside:"
HELD = "swarmfn:held"
"""Set of FUNCTION:QUEUE: calls of the function that wait until its limit has room, in lists of their own."""

HELD_CALLS = "swarmfn:held:"
ALONE = "swarmfn:alone"
"""List of ID:QUEUE of what ran in a process that died: each runs again alone."""

DEAD_LETTERS = "swarmfn:letters"
"""Set of the kinds of dead letters there are: names of counters, such as `failed:echo:echo` or `undelivered:echo`."""

DEAD_LETTERS_OF = "swarmfn:letters:"
TOTALS = "swarmfn:totals"
"""Hash of counters. Of calls `EVENT:FUNCTION:QUEUE`: accepted, started, retried, put_off, succeeded, failed, expired,
cancelled, redriven, purged, forgotten; of callbacks `EVENT:FUNCTION`: delivered, undelivered, offered_again,
redelivered; and `foreign::QUEUE`, `unreadable::QUEUE`."""

INVOCATIONS = "swarmfn:invocations"
"""Hash by function: synchronous calls that have ended. The gateway's, for the status of functions."""

WAKE = "swarmfn:wake"
"""A channel: the name of a queue is published here when its first job arrives."""


def job(job_id: str) -> str:
    return JOB + job_id


def queue(name: str) -> str:
    return QUEUE + name


def scheduled(queue_name: str) -> str:
    """RQ's registry of what was put off."""
    return SCHEDULED + queue_name


def worker(name: str) -> str:
    return WORKER + name


def executions(worker_name: str) -> str:
    """Set of what this worker has run for a while: ID:EXECUTION."""
    return f"{WORKER}{worker_name}:executions"


def held(function: str, queue: str) -> str:
    """Calls of `function` on `queue` that are over its limit."""
    return f"{HELD_CALLS}{function}:{queue}"


def request_body(job_id: str) -> str:
    """A request (or delivery) body above INLINE_LIMIT."""
    return BODY + job_id


def response_body(call_id: str) -> str:
    """A response body above INLINE_LIMIT."""
    return RESPONSE + call_id


def upload(job_id: str, nonce: str | int) -> str:
    """Where a large body waits for the script that gives it to its job; `nonce` tells it from any other upload."""
    return f"{UPLOAD}{job_id}:{nonce}"


def dead_letters(kind: str) -> str:
    """Sorted set of the ids of what ended this way (a member of DEAD_LETTERS), by the Unix time it did."""
    return DEAD_LETTERS_OF + kind
