"""What follows from one attempt."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.wire.invocations import Attempt, Delivery, Foreign
from swarmfn.wire.policies import RetryPolicy
from tests.support.queue_stage import delivery, invocation
from worker.decisions import (
    DELIVERY_TRIES,
    KEPT_ATTEMPTS,
    PLATFORM_TRIES,
    Answer,
    Failure,
    Keeping,
    Moment,
    after_delivery,
    after_foreign,
    after_invocation,
    worn_out,
)

KEEPING = Keeping(result_ttl=60, failure_ttl=600, max_result=10, callback_timeout=30)
CALL = invocation("a", callback_url="http://receiver/")
MOMENT = Moment(1000.0, "w1")
TOLD = delivery("cb_1", "a")


def claim(work: Any = CALL, **changes: Any) -> Claim:
    plain = Claim("a", "e1", "echo", work, b"", 0, 0)
    return dataclasses.replace(plain, **changes)


def called(result: Answer | Failure, **changes: Any) -> Completion | Postponement:
    return after_invocation(claim(**changes), CALL, result, MOMENT, KEEPING)


def delivered(result: Answer | Failure, **changes: Any) -> Completion | Postponement:
    return after_delivery(claim(TOLD, **changes), TOLD, result, MOMENT, KEEPING)


@pytest.mark.parametrize(
    ("status", "state", "ttl"),
    [(200, "succeeded", 60), (302, "succeeded", 60), (400, "failed", 600), (504, "failed", 600)],
)
def test_a_functions_own_answer_is_final_whatever_its_status(status: int, state: str, ttl: float) -> None:
    completion = called(Answer(status, [("X-Own", "1")], b"out", 0.5))
    assert isinstance(completion, Completion)
    assert (completion.state, completion.ttl, completion.counter) == (state, ttl, f"{state}:echo:echo")
    assert completion.note == f"echo answered {status}"
    assert completion.answer == b"out"
    assert completion.attempts == (Attempt(1000.0, 0.5, status, "w1", number=1),)


def test_the_callback_gets_all_of_an_answer_that_is_too_long_to_keep() -> None:
    completion = called(Answer(200, [], b"0123456789ab", 0.5))
    assert isinstance(completion, Completion)
    assert completion.answer == b"0123456789"
    assert completion.delivery_body == b"0123456789ab"
    assert completion.response is not None
    assert (completion.response.is_truncated, completion.response.size) == (True, 12)


def test_without_a_callback_url_nothing_is_delivered() -> None:
    plain = invocation("a")
    completion = after_invocation(claim(plain), plain, Answer(200, [], b"out", 0.5), MOMENT, KEEPING)
    assert isinstance(completion, Completion)
    assert (completion.delivery, completion.delivery_body) == (None, b"")


def test_a_full_watchdog_means_wait_and_is_neither_answer_nor_failure() -> None:
    full = Answer(429, [("x-openfaas-internal", "watchdog")], b"", 0.1)
    assert called(full, failures=3) == Postponement(1.0, 3, (), counter="put_off:echo:echo")


def test_a_429_of_the_functions_own_is_an_answer() -> None:
    assert isinstance(called(Answer(429, [], b"", 0.1)), Completion)


def test_a_failure_of_the_platform_is_tried_again_with_growing_waits() -> None:
    waits = []
    for failures in range(PLATFORM_TRIES - 1):
        later = called(Failure("it has no healthy replica", 0.0), failures=failures)
        assert isinstance(later, Postponement)
        assert later.failures == failures + 1
        waits.append(later.delay)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.2, 30.0)


def test_a_function_that_is_never_reached_fails_with_a_callback_without_a_body() -> None:
    completion = called(Failure("it has no healthy replica", 0.0), failures=PLATFORM_TRIES - 1)
    assert isinstance(completion, Completion)
    assert (completion.state, completion.response, completion.delivery_body) == ("failed", None, b"")
    assert completion.delivery is not None
    assert ("X-Function-Status", "503") in completion.delivery.headers
    assert completion.note == "echo could not be reached in 10 tries; the last time, it has no healthy replica"


def test_an_answer_that_is_too_large_is_final_and_not_the_functions_502() -> None:
    policy = RetryPolicy(attempts=5)
    call = dataclasses.replace(CALL, retry=policy)
    too_large = Failure("its answer has more than 10 bytes (max_response)", 2.0, is_hopeless=True, is_answered=True)
    completion = after_invocation(claim(call), call, too_large, MOMENT, KEEPING)
    assert isinstance(completion, Completion)
    assert (completion.state, completion.response) == ("failed", None)
    assert completion.note == "echo was called, and its answer has more than 10 bytes (max_response)"
    assert completion.attempts == (Attempt(1000.0, 2.0, 0, "w1", "its answer has more than 10 bytes (max_response)"),)
    assert completion.delivery is not None
    assert ("X-Function-Status", "502") in completion.delivery.headers


def test_what_is_hopeless_is_not_tried_again() -> None:
    completion = called(Failure("its body is no longer stored", 0.0, is_hopeless=True))
    assert isinstance(completion, Completion)
    assert completion.note == "echo was not called: its body is no longer stored"


def test_the_functions_attempts_are_counted_without_the_platforms() -> None:
    attempts = (Attempt(1, 0.1, 0, "w", "no replica"), Attempt(2, 0.1, 503, "w"), Attempt(3, 0.1, 0, "w", "lost"))
    assert claim(attempts=attempts).next_attempt == 2


def test_the_record_keeps_the_last_attempts_only() -> None:
    attempts = tuple(Attempt(number, 0.1, 0, "w", "x") for number in range(KEPT_ATTEMPTS))
    completion = called(Answer(200, [], b"", 0.1), attempts=attempts)
    assert isinstance(completion, Completion)
    assert len(completion.attempts) == KEPT_ATTEMPTS
    assert completion.attempts[-1].status == 200


@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_receiver_that_takes_it_ends_the_delivery(status: int) -> None:
    completion = delivered(Answer(status, [], b"", 0.1))
    assert isinstance(completion, Completion)
    assert (completion.state, completion.counter, completion.parent) == ("succeeded", "delivered:echo", "a")
    assert completion.parent_note == f"delivered, the receiver answered {status}"
    assert completion.delivery is None


@pytest.mark.parametrize(
    "result",
    [
        Answer(408, [], b"", 0),
        Answer(429, [], b"", 0),
        Answer(500, [], b"", 0),
        Answer(503, [], b"", 0),
        Failure("the receiver could not be reached", 0),
    ],
)
def test_a_receiver_that_may_recover_is_tried_again(result: Answer | Failure) -> None:
    later = delivered(result, failures=2)
    assert isinstance(later, Postponement)
    assert (later.delay, later.failures, later.parent) == (4.0, 3, "a")
    assert later.parent_note.startswith("retrying, the receiver ")


@pytest.mark.parametrize(("asked", "wait"), [("7", 7.0), ("1", 4.0), ("9999", 600.0), ("soon", 4.0)])
def test_a_receiver_is_left_alone_as_long_as_it_asks_up_to_ten_minutes(asked: str, wait: float) -> None:
    later = delivered(Answer(503, [("Retry-After", asked)], b"", 0), failures=2)
    assert isinstance(later, Postponement)
    assert later.delay == wait


@pytest.mark.parametrize(
    "result",
    [
        Answer(301, [], b"", 0),
        Answer(307, [], b"", 0),
        Answer(400, [], b"", 0),
        Answer(404, [], b"", 0),
        Failure("the callback URL cannot be sent", 0, True),
    ],
)
def test_a_receiver_that_refuses_for_good_fails_the_delivery(result: Answer | Failure) -> None:
    completion = delivered(result)
    assert isinstance(completion, Completion)
    assert (completion.state, completion.counter, completion.ttl) == ("failed", "undelivered:echo", 600)


def test_a_delivery_is_given_up_after_its_tries() -> None:
    assert isinstance(delivered(Answer(500, [], b"", 0), failures=DELIVERY_TRIES - 2), Postponement)
    assert isinstance(delivered(Answer(500, [], b"", 0), failures=DELIVERY_TRIES - 1), Completion)


def test_a_foreign_job_fails_with_the_reason() -> None:
    completion = after_foreign(claim(), Foreign("its data is strange"), MOMENT, KEEPING)
    assert (completion.state, completion.counter) == ("failed", "foreign::echo")
    assert completion.note == "not run: its data is strange"


def test_a_claim_that_took_its_workers_along_too_often_is_not_tried_again() -> None:
    assert worn_out(claim(failures=PLATFORM_TRIES - 1)) is None
    failure = worn_out(claim(failures=PLATFORM_TRIES))
    assert failure is not None
    assert failure.is_hopeless
    assert worn_out(claim(TOLD, failures=DELIVERY_TRIES)) is not None
    assert isinstance(TOLD, Delivery)


RETRYING = dataclasses.replace(CALL, retry=RetryPolicy(attempts=3, min_wait=0.25, max_wait=1.0))


def answered(status: int, attempts: tuple[Attempt, ...] = (), **changes: Any) -> Completion | Postponement:
    moment = dataclasses.replace(MOMENT, **changes)
    answer = Answer(status, [], b"out", 0.5)
    return after_invocation(claim(RETRYING, attempts=attempts, failures=7), RETRYING, answer, moment, KEEPING)


def test_with_a_policy_an_error_is_an_attempt_and_another_follows() -> None:
    first = answered(500)
    assert isinstance(first, Postponement)
    # The platform has not failed it: what was counted against it is forgotten.
    assert (first.delay, first.failures) == (0.25, 0)
    assert first.attempts == (Attempt(1000.0, 0.5, 500, "w1", number=1),)
    second = answered(502, first.attempts)
    assert isinstance(second, Postponement)
    assert second.attempts is not None
    assert (second.delay, [attempt.number for attempt in second.attempts]) == (0.5, [1, 2])


def test_after_the_last_attempt_comes_one_callback_that_says_how_many_there_were() -> None:
    before = tuple(Attempt(number, 0.1, 500, "w1", number=number) for number in (1, 2))
    completion = answered(500, before)
    assert isinstance(completion, Completion)
    assert (completion.state, completion.note) == ("failed", "echo answered 500 (attempt 3 of 3)")
    assert completion.delivery is not None
    headers = dict(completion.delivery.headers)
    assert (headers["X-Retry"], headers["X-Retry-Max"], headers["X-Function-Status"]) == ("2", "2", "500")


def test_a_success_ends_it_whatever_came_before() -> None:
    completion = answered(200, (Attempt(1, 0.1, 500, "w1", number=1),))
    assert isinstance(completion, Completion)
    assert completion.state == "succeeded"


def test_attempts_that_the_record_no_longer_holds_count_all_the_same() -> None:
    kept = (Attempt(1, 0.1, 500, "w1", number=2), *(Attempt(2, 0.1, 0, "w1", "x") for _ in range(KEPT_ATTEMPTS - 1)))
    assert isinstance(answered(500, kept), Completion)


def test_a_limited_functions_429_means_wait_and_is_no_attempt() -> None:
    assert answered(429, is_limited=True) == Postponement(1.0, 7, (), counter="put_off:echo:echo")
    other = answered(429)
    assert isinstance(other, Postponement)
    assert other.attempts is not None
    assert [attempt.status for attempt in other.attempts] == [429]
