"""What FINISH and RETRY_LATER are given."""

from __future__ import annotations

import pytest

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Postponement, finish_item, postponement_item
from swarmfn.jobs.layout import PLAIN_RQ_MARGIN
from tests.support.queue_stage import delivery, invocation, success

CLAIM = Claim("a", "e", "echo", invocation("a"), b"", 0, 0)


@pytest.mark.parametrize(("seconds", "ttl"), [(0.2, 1), (1, 1), (1.5, 2), (3600.0, 3600)])
def test_a_record_is_kept_for_whole_seconds_and_not_less_than_was_asked_for(seconds: float, ttl: int) -> None:
    """Redis takes whole seconds only, and a time of 0 would take the record away at once."""
    assert finish_item(CLAIM, success(ttl=seconds))["ttl"] == ttl


def test_rq_is_told_a_longer_time_than_a_callback_has() -> None:
    completion = success(delivery=delivery("cb_1", "a"), delivery_body=b"out", delivery_timeout=0.5)
    assert finish_item(CLAIM, completion)["delivery_timeout"] == 1 + PLAIN_RQ_MARGIN


def test_attempts_that_stay_as_they_are_are_not_written() -> None:
    assert postponement_item(CLAIM, Postponement(1.0, 2, None))["attempts"] == b""
    assert postponement_item(CLAIM, Postponement(1.0, 2, ()))["attempts"] == b"[]"
