"""What is logged of work that fails again and again."""

from __future__ import annotations

import logging

import pytest

from swarmfn.repeated_failures import RepeatedFailures

logger = logging.getLogger("work")


@pytest.fixture
def failures(caplog: pytest.LogCaptureFixture) -> RepeatedFailures:
    caplog.set_level(logging.INFO)
    return RepeatedFailures(logger, "the look", "look_failed")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_it_is_logged_when_it_changes_and_when_it_is_over(
    failures: RepeatedFailures, caplog: pytest.LogCaptureFixture
) -> None:
    failures.note(OSError("no answer after 3 s at 0xdeadbeef"))
    failures.note(OSError("no answer after 5 s at 0xcafe"))
    assert said(caplog) == [
        "the look failed (OSError: no answer after 3 s at 0xdeadbeef); "
        "it is tried again, and logged again when that changes"
    ]
    failures.note(ValueError("nonsense"), then="it waits")
    assert said(caplog) == ["the look failed (ValueError: nonsense); it waits"]
    failures.over()
    assert said(caplog) == ["the look no longer fails, after 3 times"]


def test_work_that_goes_well_says_nothing(failures: RepeatedFailures, caplog: pytest.LogCaptureFixture) -> None:
    failures.over()
    assert (said(caplog), failures.times, failures.sentences) == ([], 0, [])
    failures.note(OSError("gone"))
    failures.over()
    said(caplog)
    failures.over()
    assert (said(caplog), failures.times, failures.sentences) == ([], 0, [])


def test_after_it_went_well_the_same_failure_is_a_new_one(
    failures: RepeatedFailures, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        failures.note(OSError("gone"))
        failures.note(OSError("gone"))
        assert failures.sentences == ["the look fails (OSError: gone), 2 times so far; the log says more"]
        failures.over()
        assert len(said(caplog)) == 2


def test_the_first_time_is_one_time(failures: RepeatedFailures) -> None:
    failures.note(OSError("gone"))
    assert failures.sentences == ["the look fails (OSError: gone), 1 time so far; the log says more"]


def test_a_failure_that_was_expected_is_a_warning_without_a_traceback(
    failures: RepeatedFailures, caplog: pytest.LogCaptureFixture
) -> None:
    failures.note(OSError("the engine is away"), is_foreseen=True)
    failures.note(OSError(), is_foreseen=True)
    failures.note(OSError("x" * 400))
    expected, wordless, other = caplog.records
    assert (expected.levelno, expected.exc_info) == (logging.WARNING, None)
    assert "failed (the engine is away); " in expected.getMessage()
    assert "failed (OSError: ); " in wordless.getMessage()
    assert (other.levelno, bool(other.exc_info)) == (logging.ERROR, True)
    assert f"failed (OSError: {'x' * 300}); " in other.getMessage()
    assert {record.__dict__["event"] for record in caplog.records} == {"look_failed"}
    assert {record.__dict__["work"] for record in caplog.records} == {"the look"}
