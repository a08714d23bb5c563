"""Constants and formats of the job layout in Redis; keys.py has the names. docs/reference/jobs.md describes it all."""

from __future__ import annotations

import base64
import pickle
import time
import zlib
from functools import lru_cache

from swarmfn.wire.names import CALLBACKS
from swarmfn.wire.priorities import split_priority

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

PLAIN_RQ_MARGIN = 30
"""Seconds a plain `rq worker` grants beyond exec_timeout, for connecting and reading the answer."""

RUN_FIELDS = (
    "state",
    "ended_at",
    "failures",
    "attempts",
    "interruptions",
    "response",
    "answer",
    "large_answer",
    "callback",
    "delivery",
    "expires",
)
"""The fields that a run which has ended leaves in the job's hash: one that is run again begins without them."""

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
    return queue if is_callback_queue(queue) else split_priority(queue)[0]


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
