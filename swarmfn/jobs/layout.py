"""Names and constants of the job layout in Redis. docs/reference/jobs.md is the public description.

Keys of RQ's own (rq 3.0): `rq:job:ID` hash, `rq:queue:NAME` list, `rq:queues` set, `rq:wip|finished|failed|scheduled:
NAME` registries, `rq:results:ID` stream. Ours begin with `swarmfn:`.
"""

from __future__ import annotations

import base64
import pickle
import time
import zlib
from functools import lru_cache

from swarmfn.wire.names import CALLBACKS
from swarmfn.wire.priorities import split_lane

RQ_FUNCTION = "swarmfn.jobs.stock.run"
"""What a plain `rq worker` imports and calls for a job of ours."""

JOB_DATA = pickle.dumps((RQ_FUNCTION, None, (), {}), protocol=4)
"""The `data` field of every job of ours, the same bytes each time: primitives only, and nothing a worker of ours ever
unpickles, since it compares instead."""

CALLBACK_QUEUE = CALLBACKS
"""What the queues of callback deliveries begin with; no function may have this name."""

CALLBACK_QUEUES = 64
"""The number of queues of deliveries, whatever receivers callers name: each receiver's are on one of them."""

INLINE_LIMIT = 64 * 1024
"""Bodies up to this many bytes are fields of the job's hash; larger ones are keys of their own, so that reading
a job's hash does not fetch them too."""

QUEUES_KEY = "swarmfn:queues"
"""Set of the names of queues that hold calls of ours. RQ's own set may name queues that are other people's."""

VERSION_KEY = "swarmfn:layout"
"""The version of the layout that what is stored here needs of its readers (wire's `VERSION` when it was written)."""

BODIES_KEY = "swarmfn:bodies"
"""Set of the ids of jobs with a large request body: how a body is found whose job was deleted."""

HELD_KEY = "swarmfn:held"
"""Set of FUNCTION:QUEUE: calls of the function that wait until its limit has room, in lists of their own."""

ALONE_KEY = "swarmfn:alone"
"""List of ID:QUEUE of what ran in a process that died: each runs again alone."""

SUSPENDED_KEY = "rq:suspended"
"""While it exists, as after `rq suspend`, nobody claims anything."""

WAKE_CHANNEL = "swarmfn:wake"
"""The name of a queue is published here when its first job arrives."""

TOTALS_KEY = "swarmfn:totals"
"""Hash of counters. Of calls `EVENT:FUNCTION:QUEUE`: accepted, started, retried, put_off, succeeded, failed, expired,
cancelled, redriven, purged, forgotten; of callbacks `EVENT:FUNCTION`: delivered, undelivered, offered_again,
redelivered; and `foreign::QUEUE`, `unreadable::QUEUE`."""

INVOCATIONS_KEY = "swarmfn:invocations"
"""Hash by function: synchronous calls that have ended. The gateway's, for the status of functions."""

DEAD_LETTERS_KEY = "swarmfn:letters"
"""Set of the kinds of dead letters there are: names of counters, such as `failed:echo:echo` or `undelivered:echo`."""

PLAIN_RQ_MARGIN = 30
"""Seconds a plain `rq worker` grants beyond exec_timeout, for connecting and reading the answer."""

CANCELLED_TTL = 86400
"""Seconds the record of a cancelled call is kept."""

RECORD_MARGIN = 3600
"""Seconds a record outlives its entry in RQ's registry: one that is queued again at the last moment, by a tool that
knows nothing of expiry, must not vanish while it waits."""

UPLOAD_TTL = 600
"""Seconds after which a large body goes away that no job came to own."""


@lru_cache(4096)
def is_callback_queue(queue: str) -> bool:
    """Whether `queue` holds deliveries, not calls."""
    return queue == CALLBACK_QUEUE or queue.startswith(f"{CALLBACK_QUEUE}:")


def callback_queue(place: str) -> str:
    """The queue of deliveries to the receiver at `place`, a host and port for example."""
    return f"{CALLBACK_QUEUE}:{zlib.crc32(place.encode()) % CALLBACK_QUEUES}"


def successor(queue: str) -> str | None:
    """What an earlier version's queue of one receiver, `callbacks:HOST:PORT`, belongs to now; None for any other."""
    place = queue.removeprefix(f"{CALLBACK_QUEUE}:")
    return callback_queue(place) if place != queue and ":" in place else None


@lru_cache(4096)
def base_queue(queue: str) -> str:
    """The queue that `queue` is beside, for calls of a priority; else itself."""
    return queue if is_callback_queue(queue) else split_lane(queue)[0]


def job_key(call_id: str) -> str:
    return f"rq:job:{call_id}"


def queue_key(queue: str) -> str:
    return f"rq:queue:{queue}"


def scheduled_key(queue: str) -> str:
    """RQ's registry of what was put off."""
    return f"rq:scheduled:{queue}"


def held_key(function: str, queue: str) -> str:
    """Calls of `function` on `queue` that are over its limit."""
    return f"{HELD_KEY}:{function}:{queue}"


def request_body_key(call_id: str) -> str:
    """A request (or delivery) body above INLINE_LIMIT."""
    return f"swarmfn:body:{call_id}"


def response_body_key(call_id: str) -> str:
    """A response body above INLINE_LIMIT."""
    return f"swarmfn:response:{call_id}"


def upload_key(job_id: str, nonce: str | int) -> str:
    """Where a large body waits for the script that gives it to its job; `nonce` tells it from any other upload."""
    return f"swarmfn:upload:{job_id}:{nonce}"


def dead_letters_key(kind: str) -> str:
    """Sorted set of the ids of what ended this way (a member of DEAD_LETTERS_KEY), by the Unix time it did."""
    return f"{DEAD_LETTERS_KEY}:{kind}"


def is_our_data(data: bytes) -> bool:
    """Whether a job's `data` field is ours, plain or as RQ saves it again after a requeue (zlib-compressed)."""
    if data == JOB_DATA:
        return True
    if len(data) > 2 * len(JOB_DATA) + 64:
        return False
    try:
        return zlib.decompress(data) == JOB_DATA
    except zlib.error:
        return False


def rq_time(seconds: float | None = None) -> str:
    """Unix `seconds` (default: now) in RQ's own format, `2026-01-31T12:00:00.000000Z`."""
    moment = time.time() if seconds is None else seconds
    whole = int(moment)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((moment - whole) * 1e6):06d}Z"


@lru_cache(4096)
def rq_return_value(text: str) -> str:
    """`text` as RQ's results stream holds a return value: pickled, then base64."""
    return base64.b64encode(pickle.dumps(text, protocol=4)).decode()


@lru_cache(4096)
def rq_exc_string(text: str) -> str:
    """`text` as RQ's results stream holds a failure's description: zlib, then base64."""
    return base64.b64encode(zlib.compress(text.encode())).decode()
