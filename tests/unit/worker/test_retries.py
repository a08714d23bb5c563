"""When a function's own answer is followed by another attempt."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from swarmfn.wire.policies import RetryPolicy
from worker.retries import backoff_with_jitter, retry_after, retry_in, wait_for_room

NOW = 1_790_000_000.0
POLICY = RetryPolicy(attempts=5, min_wait=10.0, max_wait=60.0)
INTERNAL = ("x-openfaas-internal", "watchdog")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 504])
def test_the_default_codes_are_tried_again(status: int) -> None:
    assert retry_in(POLICY, status, [], 1, NOW, 0.5) == 10.0


@pytest.mark.parametrize("status", [200, 302, 400, 404, 501, 503])
def test_other_answers_are_final(status: int) -> None:
    assert retry_in(POLICY, status, [], 1, NOW, 0.5) is None


def test_without_a_policy_or_attempts_left_every_answer_is_final() -> None:
    assert retry_in(None, 500, [INTERNAL], 1, NOW, 0.5) is None
    assert retry_in(POLICY, 500, [], 4, NOW, 0.5) is not None
    assert retry_in(POLICY, 500, [], 5, NOW, 0.5) is None


def test_what_the_platform_itself_answered_is_tried_again_whatever_its_status() -> None:
    assert retry_in(POLICY, 503, [INTERNAL], 1, NOW, 0.5) == 10.0
    assert retry_in(RetryPolicy(codes=(418,)), 413, [INTERNAL], 1, NOW, 0.5) == 10.0


@pytest.mark.parametrize(("asked", "wait"), [("90", 90.0), ("0", 10.0), ("10.25", 10.25), ("3", 10.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_but_not_below_min_wait(status: int, asked: str, wait: float) -> None:
    assert retry_in(POLICY, status, [("Retry-After", asked)], 1, NOW, 0.5) == wait


def test_retry_after_on_other_answers_says_nothing() -> None:
    assert retry_in(POLICY, 500, [("Retry-After", "90")], 1, NOW, 0.5) == 10.0
    assert retry_in(POLICY, 404, [("Retry-After", "90")], 1, NOW, 0.5) is None


def test_a_function_that_names_its_codes_is_taken_at_its_word() -> None:
    assert retry_in(RetryPolicy(codes=(500,)), 503, [("Retry-After", "20")], 1, NOW, 0.5) is None


@pytest.mark.parametrize(
    ("jitter", "chance", "waits"),
    [
        ("exponential", 0.0, [10.0, 20.0, 40.0, 60.0]),
        ("full", 0.5, [5.0, 10.0, 20.0, 30.0]),
        ("full", 0.0, [0.0, 0.0, 0.0, 0.0]),
        ("equal", 0.0, [5.0, 10.0, 20.0, 30.0]),
        ("equal", 0.5, [7.5, 15.0, 30.0, 45.0]),
    ],
)
def test_waits_double_and_jitter_leaves_none_all_or_half_to_chance(
    jitter: str, chance: float, waits: list[float]
) -> None:
    policy = RetryPolicy(min_wait=10.0, max_wait=60.0, jitter=jitter)
    assert [backoff_with_jitter(policy, attempt, chance) for attempt in (1, 2, 3, 4)] == waits


def test_waits_are_exact_to_the_millisecond_and_never_overflow() -> None:
    policy = RetryPolicy(attempts=1000, min_wait=0.0015, max_wait=2_000_000.0)
    assert retry_in(policy, 500, [], 1, NOW, 0.5) == 0.002
    assert retry_in(policy, 500, [], 999, NOW, 0.5) == 2_000_000.0


def test_a_date_is_seconds_from_now() -> None:
    assert retry_after([("Retry-After", formatdate(NOW + 30, usegmt=True))], NOW) == 30.0
    assert retry_after([("Retry-After", formatdate(NOW - 30, usegmt=True))], NOW) == 0.0
    assert retry_after([("Retry-After", "Sun, 06 Nov 1994 08:49:37")], NOW) == 0.0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e9", "1 2", "Sun, 99 Nov 1994 08:49:37 GMT", "٣", "\x00"])
def test_a_retry_after_that_does_not_parse_is_none(text: str) -> None:
    assert retry_after([("Retry-After", text)], NOW) is None


def test_nobody_waits_longer_than_a_day() -> None:
    assert retry_after([("Retry-After", "999999999")], NOW) == 86400.0
    assert retry_after([("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], NOW) == 86400.0


def test_no_room_means_wait_as_long_as_asked() -> None:
    assert wait_for_room(429, [INTERNAL], False, NOW) == 1.0
    assert wait_for_room(429, [INTERNAL, ("Retry-After", "7")], False, NOW) == 7.0
    assert wait_for_room(429, [], True, NOW) == 1.0
    assert wait_for_room(429, [], False, NOW) is None
    assert wait_for_room(503, [INTERNAL], True, NOW) is None
