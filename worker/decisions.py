"""What follows from one attempt: pure functions from what happened to what to record."""

from __future__ import annotations

from dataclasses import dataclass

from swarmfn.backoff import backoff
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.outgoing import EXPIRED, UNUSABLE, delivery_headers
from swarmfn.wire.call_ids import new_delivery_id
from swarmfn.wire.headers import Headers
from swarmfn.wire.invocations import Attempt, Delivery, Foreign, Invocation, StoredResponse
from worker.answers import Bytes, beginning
from worker.retries import retry_after, retry_in, wait_for_room

PLATFORM_TRIES = 10
"""How often an invocation is tried while only the platform fails it; the function's own answers do not count."""

DELIVERY_TRIES = 8
"""How often a callback is offered to its receiver."""

KEPT_ATTEMPTS = 20
"""The record of a call holds its last attempts, up to this many."""

_LONGEST_ASKED = 600.0
_DELIVERY_AGAIN = frozenset({408, 429})
_LOOP_DETECTED = 508


@dataclass(frozen=True, slots=True)
class Answer:
    """The function, or a callback's receiver, answered. `seconds` from sending to the end of the body; `size` of all of
    the body, when only its beginning was kept."""

    status: int
    headers: Headers
    body: Bytes
    seconds: float
    size: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The platform got no answer: no replica, connection refused or reset. `problem` is our own sentence, without
    anything a function said; is_hopeless: trying again would end the same way; is_answered: the function has run, and
    its answer cannot be used; reason: one word of a fixed set for metrics."""

    problem: str
    seconds: float
    is_hopeless: bool = False
    is_answered: bool = False
    reason: str = "other"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision depends on beside what happened: Unix seconds, this worker, and a number in [0, 1).

    is_limited: the function's asynchronous calls are limited in number, so that its 429 means that it has no room.
    """

    now: float
    worker: str
    chance: float = 0.5
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and how much is kept: seconds and bytes."""

    result_ttl: float
    failure_ttl: float
    max_result: int
    callback_timeout: float


def worn_out(claim: Claim) -> Failure | None:
    """Why a claim is not tried again although its last try did not come to an end: it took its worker along, and the
    others that ran there with it, too often."""
    tries = DELIVERY_TRIES if isinstance(claim.work, Delivery) else PLATFORM_TRIES
    if claim.failures < tries:
        return None
    return Failure("its worker died each time it ran", 0.0, is_hopeless=True)


def after_invocation(
    claim: Claim, invocation: Invocation, result: Answer | Failure, moment: Moment, keeping: Keeping
) -> Completion | Postponement:
    """What happens to an invocation after one attempt."""
    if isinstance(result, Failure):
        return _after_platform_failure(claim, invocation, result, moment, keeping)
    wait = wait_for_room(result.status, result.headers, moment.is_limited, moment.now)
    if wait is not None:
        return Postponement(wait, claim.failures, claim.attempts, counter=_put_off(invocation))
    number = claim.next_attempt
    attempts = _with(claim, Attempt(moment.now, result.seconds, result.status, moment.worker, number=number))
    delay = retry_in(invocation.retry, result.status, result.headers, number, moment.now, moment.chance)
    if delay is not None:
        retried = f"retried:{invocation.function}:{invocation.queue}"
        return Postponement(delay, 0, attempts, counter=retried)
    return _after_last_attempt(invocation, result, number, attempts, keeping)


def _after_last_attempt(
    invocation: Invocation, result: Answer, number: int, attempts: tuple[Attempt, ...], keeping: Keeping
) -> Completion:
    size = max(result.size, len(result.body))
    stored = StoredResponse(result.status, result.headers, size, size > keeping.max_result)
    state = "succeeded" if result.status < 400 else "failed"
    return Completion(
        state=state,
        counter=f"{state}:{invocation.function}:{invocation.queue}",
        ttl=keeping.result_ttl if state == "succeeded" else keeping.failure_ttl,
        note=f"{invocation.function} answered {result.status}" + _of_attempts(invocation, number),
        response=stored,
        answer=beginning(result.body, keeping.max_result),
        attempts=attempts,
        delivery=_delivery(invocation, stored, result.seconds, number),
        delivery_body=result.body if invocation.callback_url else b"",
        delivery_timeout=keeping.callback_timeout,
    )


def _of_attempts(invocation: Invocation, number: int) -> str:
    return f" (attempt {number} of {invocation.retry.attempts})" if invocation.retry else ""


def after_expiry(claim: Claim, invocation: Invocation, keeping: Keeping) -> Completion:
    """A call whose turn comes too late is not run, or not once more. Its callback says so."""
    again = " again" if claim.attempts else ""
    return Completion(
        state="expired",
        counter=f"expired:{invocation.function}:{invocation.queue}",
        ttl=keeping.failure_ttl,
        note=f"{invocation.function} was not called{again}: the call had waited longer than its X-Max-Age",
        response=None,
        answer=b"",
        attempts=claim.attempts,
        delivery=_delivery(invocation, StoredResponse(EXPIRED, [], 0), 0.0, claim.next_attempt - 1),
        delivery_timeout=keeping.callback_timeout,
    )


def after_delivery(
    claim: Claim, delivery: Delivery, result: Answer | Failure, moment: Moment, keeping: Keeping
) -> Completion | Postponement:
    """What happens to a callback's delivery after one try. The function itself never runs again for it."""
    status = result.status if isinstance(result, Answer) else 0
    problem = result.problem if isinstance(result, Failure) else ""
    said = problem or f"the receiver answered {status}"
    attempts = _with(claim, Attempt(moment.now, result.seconds, status, moment.worker, problem))
    if isinstance(result, Answer) and status < 300:
        return _end_of_delivery("succeeded", "delivered", f"delivered, {said}", delivery, attempts, keeping.result_ttl)
    failures = claim.failures + 1
    if _may_change(result) and failures < DELIVERY_TRIES:
        delay = max(backoff(failures, 1.0, 60.0), _asked_by(result, moment))
        again = f"offered_again:{delivery.function}"
        return Postponement(delay, failures, attempts, delivery.call_id, f"retrying, {said}", again)
    return _end_of_delivery("failed", "undelivered", f"failed, {said}", delivery, attempts, keeping.failure_ttl)


def after_foreign(claim: Claim, foreign: Foreign, moment: Moment, keeping: Keeping) -> Completion:
    """Bytes that are not an invocation end as failed, where an operator sees them, and stop nothing else."""
    return Completion(
        state="failed",
        counter=f"foreign::{claim.queue}",
        ttl=keeping.failure_ttl,
        note=f"not run: {foreign.problem}",
        response=None,
        answer=b"",
        attempts=(Attempt(moment.now, 0.0, 0, moment.worker, foreign.problem),),
    )


def _asked_by(result: Answer | Failure, moment: Moment) -> float:
    """Seconds a receiver wants to be left alone for, up to ten minutes."""
    asked = retry_after(result.headers, moment.now) if isinstance(result, Answer) else None
    return min(asked or 0.0, _LONGEST_ASKED)


def _may_change(result: Answer | Failure) -> bool:
    """Whether a receiver may take the callback another time."""
    if isinstance(result, Failure):
        return not result.is_hopeless
    return (result.status >= 500 and result.status != _LOOP_DETECTED) or result.status in _DELIVERY_AGAIN


def _after_platform_failure(
    claim: Claim, invocation: Invocation, failure: Failure, moment: Moment, keeping: Keeping
) -> Completion | Postponement:
    failures = claim.failures + 1
    attempts = _with(claim, Attempt(moment.now, failure.seconds, 0, moment.worker, failure.problem))
    if failures < PLATFORM_TRIES and not failure.is_hopeless:
        delay = backoff(failures, 0.2, 30.0)
        return Postponement(delay, failures, attempts, counter=_put_off(invocation))
    return Completion(
        state="failed",
        counter=f"failed:{invocation.function}:{invocation.queue}",
        ttl=keeping.failure_ttl,
        note=_reason(invocation, failure, failures),
        response=None,
        answer=b"",
        attempts=attempts,
        delivery=_delivery(
            invocation,
            StoredResponse(UNUSABLE, [], 0) if failure.is_answered else None,
            failure.seconds,
            claim.next_attempt - 1,
        ),
        delivery_timeout=keeping.callback_timeout,
    )


def _put_off(invocation: Invocation) -> str:
    return f"put_off:{invocation.function}:{invocation.queue}"


def _reason(invocation: Invocation, failure: Failure, tries: int) -> str:
    if failure.is_answered:
        return f"{invocation.function} was called, and {failure.problem}"
    if failure.is_hopeless:
        return f"{invocation.function} was not called: {failure.problem}"
    return f"{invocation.function} could not be reached in {tries} tries; the last time, {failure.problem}"


def _delivery(
    invocation: Invocation, response: StoredResponse | None, seconds: float, attempts: int
) -> Delivery | None:
    if not invocation.callback_url:
        return None
    return Delivery(
        delivery_id=new_delivery_id(),
        call_id=invocation.call_id,
        function=invocation.function,
        url=invocation.callback_url,
        headers=delivery_headers(invocation, response, seconds, attempts),
        trace=invocation.trace,
    )


def _end_of_delivery(
    state: str, event: str, said: str, delivery: Delivery, attempts: tuple[Attempt, ...], ttl: float
) -> Completion:
    return Completion(
        state=state,
        counter=f"{event}:{delivery.function}",
        ttl=ttl,
        note=f"callback {said}",
        response=None,
        answer=b"",
        attempts=attempts,
        parent=delivery.call_id,
        parent_note=said,
    )


def _with(claim: Claim, attempt: Attempt) -> tuple[Attempt, ...]:
    return (*claim.attempts, attempt)[-KEPT_ATTEMPTS:]
