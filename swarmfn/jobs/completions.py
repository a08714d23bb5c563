"""What is recorded when a claim ends: for good (`Completion`), or until later (`Postponement`)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swarmfn.jobs import layout
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.outgoing import delivery_queue
from swarmfn.wire.invocations import Attempt, Delivery, StoredResponse

_RQ_SUCCESSFUL, _RQ_FAILED = 1, 2

# Made once: `json.dumps` with separators makes an encoder for each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


# Not frozen, as claims are not.
@dataclass(slots=True)
class Completion:
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


def finish_item(claim: Claim, completion: Completion) -> dict[str, Any]:
    """One of FINISH's items."""
    succeeded = completion.state == "succeeded"
    return {
        "id": claim.job_id,
        "execution": claim.execution,
        "queue": claim.queue,
        "counter": completion.counter,
        "state": completion.state,
        "ttl": math.ceil(completion.ttl),
        "response": completion.response.to_json() if completion.response else b"",
        "answer": b"" if completion.has_large_answer else completion.answer,
        "large_answer": len(completion.answer) if completion.has_large_answer else b"",
        "result_type": _RQ_SUCCESSFUL if succeeded else _RQ_FAILED,
        "return_value": layout.rq_return_value(completion.note) if succeeded else b"",
        "exc_string": b"" if succeeded else layout.rq_exc_string(completion.note),
        "attempts": _attempts_json(completion.attempts),
        "started_at": claim.claimed_at,
        "parent": completion.parent,
        "note": completion.parent_note,
        **_delivery_of(completion),
    }


_NO_DELIVERY = dict.fromkeys(
    (
        "delivery",
        "delivery_queue",
        "delivery_call",
        "delivery_body",
        "delivery_large",
        "delivery_timeout",
    ),
    b"",
)


def _delivery_of(completion: Completion) -> dict[str, Any]:
    if completion.delivery is None:
        return _NO_DELIVERY
    return {
        "delivery": completion.delivery.delivery_id,
        "delivery_queue": delivery_queue(completion.delivery.url),
        "delivery_call": completion.delivery.to_json(),
        "delivery_body": b"" if completion.has_large_delivery else completion.delivery_body,
        "delivery_large": len(completion.delivery_body) if completion.has_large_delivery else b"",
        "delivery_timeout": math.ceil(completion.delivery_timeout) + layout.PLAIN_RQ_MARGIN,
    }


def postponement_item(claim: Claim, later: Postponement) -> dict[str, Any]:
    """One of RETRY_LATER's items."""
    return {
        "id": claim.job_id,
        "execution": claim.execution,
        "queue": claim.queue,
        "delay": later.delay,
        "failures": later.failures,
        "attempts": b"" if later.attempts is None else _attempts_json(later.attempts),
        "parent": later.parent,
        "note": later.parent_note,
        "counter": later.counter,
    }


def _attempts_json(attempts: Sequence[Attempt]) -> bytes:
    return _encode([attempt.to_json() for attempt in attempts]).encode()
