"""What is recorded when a claim ends: for good (`Ending`), or until later (`Postponement`)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swarmfn.jobs import layout
from swarmfn.jobs.claimed import Claim
from swarmfn.jobs.outgoing import delivery_queue
from swarmfn.wire.invocations import Attempt, Delivery, StoredResponse

_RQ_SUCCESSFUL, _RQ_FAILED = 1, 2

# Made once: `json.dumps` with separators makes an encoder for each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


# Not frozen, as claims are not.
@dataclass(slots=True)
class Ending:
    """How a claim ends.

    state: `succeeded` or `failed`; counter: the field of the totals it counts in; note: our own fixed words for RQ's
    result or failure text, never anything a function said; response and answer: what to keep; delivery and
    delivery_body: what to send to the callback URL; parent and parent_note: for a delivery, the call it reports and
    what to note there. Bodies may be memoryviews where they are large (above INLINE_LIMIT).
    """

    state: str
    counter: str
    ttl: float
    note: str
    response: StoredResponse | None
    answer: bytes | memoryview
    attempts: tuple[Attempt, ...]
    delivery: Delivery | None = None
    delivery_body: bytes | memoryview = b""
    delivery_timeout: float = 0
    parent: str = ""
    parent_note: str = ""

    @property
    def has_large_answer(self) -> bool:
        return len(self.answer) > layout.INLINE_LIMIT

    @property
    def has_large_delivery(self) -> bool:
        return self.delivery is not None and len(self.delivery_body) > layout.INLINE_LIMIT

    @property
    def inline_size(self) -> int:
        """About how many bytes it adds to a batch."""
        answer = 0 if self.has_large_answer else len(self.answer)
        return 1000 + answer + (0 if self.has_large_delivery else len(self.delivery_body))


@dataclass(frozen=True, slots=True)
class Postponement:
    """A claim put off for `delay` seconds; failures: how often in a row the platform has failed it; attempts: None
    leaves both on record as they are. parent: the call whose callback this is, and what its record should say; counter:
    the field of the totals it counts in, if any."""

    delay: float
    failures: int
    attempts: tuple[Attempt, ...] | None
    parent: str = ""
    parent_note: str = ""
    counter: str = ""


def finish_arguments(claim: Claim, ending: Ending) -> tuple[Any, ...]:
    """FINISH's values for one item."""
    succeeded = ending.state == "succeeded"
    return (
        claim.job_id,
        claim.execution,
        claim.queue,
        ending.counter,
        ending.state,
        math.ceil(ending.ttl),
        ending.response.to_json() if ending.response else b"",
        b"" if ending.has_large_answer else ending.answer,
        len(ending.answer) if ending.has_large_answer else b"",
        _RQ_SUCCESSFUL if succeeded else _RQ_FAILED,
        layout.rq_return_value(ending.note) if succeeded else b"",
        b"" if succeeded else layout.rq_exc_string(ending.note),
        _attempts_json(ending.attempts),
        claim.claimed_at,
        *_delivery_arguments(ending),
        ending.parent,
        ending.parent_note,
        delivery_queue(ending.delivery.url) if ending.delivery else b"",
    )


def _delivery_arguments(ending: Ending) -> tuple[Any, ...]:
    if ending.delivery is None:
        return (b"", b"", b"", b"", b"")
    return (
        ending.delivery.delivery_id,
        ending.delivery.to_json(),
        b"" if ending.has_large_delivery else ending.delivery_body,
        len(ending.delivery_body) if ending.has_large_delivery else b"",
        math.ceil(ending.delivery_timeout) + layout.STOCK_MARGIN,
    )


def postponement_arguments(claim: Claim, later: Postponement) -> tuple[Any, ...]:
    """RETRY_LATER's values for one item."""
    return (
        claim.job_id,
        claim.execution,
        claim.queue,
        later.delay,
        later.failures,
        b"" if later.attempts is None else _attempts_json(later.attempts),
        later.parent,
        later.parent_note,
        later.counter,
    )


def _attempts_json(attempts: Sequence[Attempt]) -> bytes:
    return _encode([attempt.to_json() for attempt in attempts]).encode()
