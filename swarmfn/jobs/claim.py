"""One claimed job, read from what Redis holds. Whatever bytes are there, reading them does not raise."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from swarmfn.jobs import layout
from swarmfn.wire.errors import NewerLayout
from swarmfn.wire.invocations import Attempt, Delivery, Foreign, Invocation, Newer

Work = Invocation | Delivery | Foreign | Newer

# Given bytes, `json.loads` guesses their encoding first.
_decode = json.JSONDecoder().decode
_LONGEST_RUN = 10 * 365 * 86400.0


# Not frozen: making a frozen record costs four times as much, and there are thousands of these a second.
@dataclass(slots=True, eq=False)
class Claim:
    """One job taken off a queue, held under a lease. `execution` is the fencing token; no two claims are equal.

    failures: how often in a row the platform has failed it, its worker's death included; has_expired: it waited longer
    than it was allowed to, and is not to run.
    """

    job_id: str
    execution: str
    queue: str
    work: Work
    inline_body: bytes
    large_size: int
    failures: int
    attempts: tuple[Attempt, ...] = ()
    has_expired: bool = False
    claimed_at: float = field(default_factory=time.time)

    @property
    def next_attempt(self) -> int:
        """The number of the attempt about to be made: those that only the platform failed do not count."""
        if not self.attempts:
            return 1
        # Of many, the record keeps the last ones, which are numbered; other people's workers may not number theirs.
        numbers = (attempt.number for attempt in self.attempts)
        return 1 + max(sum(attempt.status != 0 for attempt in self.attempts), *numbers, 0)

    @property
    def rq_entry(self) -> str:
        """The claim in RQ's registry of started jobs."""
        return f"{self.job_id}:{self.execution}"

    @property
    def entry(self) -> str:
        """The claim in the sets of leases and of its worker's claims."""
        return f"{self.job_id}:{self.execution}:{self.queue}"


def claim_of(row: Sequence[bytes]) -> Claim:
    """The claim in one row of CLAIM's reply."""
    job_id, execution, queue = row[0].decode("ascii"), row[1].decode("ascii"), row[2].decode()
    work = read_work(job_id, queue, row[3], row[4])
    large_size, failures = _count(row[6]), _count(row[7])
    attempts = _attempts_of(row[8])
    if not isinstance(work, Newer) and (large_size is None or failures is None or attempts is None):
        work = Foreign("its large, failures or attempts field does not parse")
    return Claim(job_id, execution, queue, work, row[5], large_size or 0, failures or 0, attempts or (), row[9] == b"1")


def read_work(job_id: str, queue: str, data: bytes, text: bytes) -> Work:
    """What a job's `data` and `call` fields ask for."""
    if not layout.is_our_data(data):
        return Foreign("its data is not an invocation of this platform")
    try:
        document = _decode(text.decode())
        if "to" in document:
            return Delivery.from_json(job_id, document)
        invocation = Invocation.from_json(job_id, queue, document)
    except NewerLayout as exc:
        return Newer(exc.message)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        return Foreign(f"its call field does not parse ({type(exc).__name__})")
    if not 0 < invocation.exec_timeout <= _LONGEST_RUN:
        return Foreign("its exec_timeout is not a time")
    return invocation


def _count(text: bytes) -> int | None:
    if not text:
        return 0
    return int(text) if text.isdigit() and len(text) < 16 else None


def _attempts_of(text: bytes) -> tuple[Attempt, ...] | None:
    if not text:
        return ()
    try:
        return tuple(Attempt.from_json(document) for document in json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
