"""Limits that two programs count."""

from __future__ import annotations

import pytest

from swarmfn.wire.time_limits import is_about_over, says_killed, says_out_of_time


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (408, b"Killed process.\n", True),
        (500, b"Killed process.\n", True),
        (408, memoryview(b"Killed process."), True),
        (200, b"Killed process.\n", False),
        (408, b"too slow for me", False),
        (408, b"Killed process.\nand whatever a function may say after that", False),
        (408, None, False),
    ],
)
def test_a_watchdogs_word_is_known_by_status_and_text(status: int, body: bytes | None, expected: bool) -> None:
    assert says_killed(status, body) is expected


@pytest.mark.parametrize(
    ("seconds", "limit", "expected"),
    [(59.95, 60.0, True), (60.2, 60.0, True), (59.5, 60.0, False), (0.19, 0.2, True), (0.15, 0.2, False)],
)
def test_the_end_of_a_limit_is_a_tenth_of_a_second_or_of_the_limit(
    seconds: float, limit: float, expected: bool
) -> None:
    assert is_about_over(seconds, limit) is expected


@pytest.mark.parametrize(
    ("status", "body", "seconds", "expected"),
    [
        (408, b"whatever", 59.95, True),
        (504, b"", 59.95, True),
        (500, b"Killed process.\n", 60.01, True),
        (500, b"a fault", 59.95, False),
        (200, b"", 59.95, False),
        (504, b"", 59.0, False),
    ],
)
def test_who_says_at_the_end_of_a_limit_that_it_is_over_counts_it_too(
    status: int, body: bytes, seconds: float, expected: bool
) -> None:
    assert says_out_of_time(status, body, seconds, 60.0) is expected
