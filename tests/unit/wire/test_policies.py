"""What annotations ask of asynchronous calls; values that cannot be used fall back, with a warning."""

from __future__ import annotations

import json

import pytest

from swarmfn.wire.policies import (
    ATTEMPTS,
    CODES,
    CONCURRENCY,
    JITTER,
    MAX_DEPTH,
    MAX_QUEUE_AGE,
    MAX_WAIT,
    MIN_WAIT,
    Policy,
    RetryPolicy,
    policy_of,
)


def test_without_annotations_nothing_is_asked() -> None:
    assert policy_of({"topic": "x"}) == Policy(None, 0, ())


def test_any_retry_annotation_asks_for_retries_with_defaults_for_the_rest() -> None:
    assert policy_of({ATTEMPTS: "3"}).retry == RetryPolicy(3, (408, 429, 500, 502, 504), 10.0, 120.0, "exponential")
    assert policy_of({JITTER: "full"}).retry == RetryPolicy(10, jitter="full")


def test_everything_is_read_to_the_millisecond() -> None:
    annotations = {
        ATTEMPTS: " 7 ",
        CODES: "503, 500,503",
        MIN_WAIT: "1.234s",
        MAX_WAIT: "1m0.5s",
        JITTER: "equal",
        CONCURRENCY: "4",
    }
    assert policy_of(annotations) == Policy(RetryPolicy(7, (500, 503), 1.234, 60.5, "equal"), 4, ())


def test_a_limit_alone_asks_for_no_retries() -> None:
    assert policy_of({CONCURRENCY: "2"}) == Policy(None, 2, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ATTEMPTS, "0"),
        (ATTEMPTS, "-1"),
        (ATTEMPTS, "many"),
        (ATTEMPTS, "1001"),
        (ATTEMPTS, "٣"),
        (ATTEMPTS, ""),
        (CODES, "5xx"),
        (CODES, "500;502"),
        (CODES, "999"),
        (CODES, ""),
        (MIN_WAIT, "soon"),
        (MIN_WAIT, "-1s"),
        (MIN_WAIT, "1000h"),
        (MAX_WAIT, "2 minutes"),
        (MAX_WAIT, "9" * 5000),
        (JITTER, "some"),
        (CONCURRENCY, "all"),
        (CONCURRENCY, "-1"),
        (CONCURRENCY, "1.5"),
        (MAX_DEPTH, "deep"),
        (MAX_DEPTH, "-1"),
        (MAX_DEPTH, "1e3"),
        (MAX_QUEUE_AGE, "old"),
        (MAX_QUEUE_AGE, "-5s"),
        (MAX_QUEUE_AGE, "1000h"),
    ],
)
def test_a_value_that_cannot_be_used_falls_back_and_a_warning_names_it(name: str, text: str) -> None:
    policy = policy_of({name: text})
    assert policy.concurrency == 0
    assert policy.retry in (None, RetryPolicy())
    assert (policy.max_depth, policy.max_queue_age) == (None, None)
    (warning,) = policy.warnings
    assert warning.startswith(f"annotation {name}: ")
    assert "using the default, " in warning
    assert len(warning) < 400


def test_limits_of_a_queue_are_read_and_zero_is_not_the_same_as_none() -> None:
    assert policy_of({MAX_DEPTH: "100", MAX_QUEUE_AGE: "1m30s"}) == Policy(max_depth=100, max_queue_age=90.0)
    assert policy_of({MAX_DEPTH: "0", MAX_QUEUE_AGE: "0s"}) == Policy(max_depth=0, max_queue_age=0.0)
    assert policy_of({CONCURRENCY: "1"}).max_depth is None


def test_a_longest_wait_below_the_shortest_is_raised_to_it() -> None:
    policy = policy_of({MIN_WAIT: "20s", MAX_WAIT: "5s"})
    assert policy.retry == RetryPolicy(min_wait=20.0, max_wait=20.0)
    assert len(policy.warnings) == 1
    assert policy_of({MIN_WAIT: "10m"}) == Policy(RetryPolicy(min_wait=600.0, max_wait=600.0), 0, ())


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(max_depth=0, max_queue_age=1.5),
        Policy(RetryPolicy(), 3, ("annotation x: bad",)),
        Policy(RetryPolicy(2, (500,), 0, 0, "full")),
    ],
)
def test_a_policy_is_read_back_as_it_was_written(policy: Policy) -> None:
    assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
