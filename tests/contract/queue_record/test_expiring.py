"""Calls that are not worth running any more: seen when their turn comes, and run again without a limit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from swarmfn.jobs.redis_commands import call_blocking
from swarmfn.jobs.scripts import REDRIVE
from swarmfn.jobs.terms import Terms
from tests.support.queue_stage import QueueStage, failure, postponement
from tests.support.waiting import wait_until

BRIEF = Terms(max_age=0.001)


def expired() -> dict[str, Any]:
    return {"state": "expired", "counter": "expired:echo:echo"}


def submit_stale(stage: QueueStage, call_id: str = "a", body: bytes = b"x") -> None:
    stage.submit(call_id, body, BRIEF)
    time.sleep(0.005)


def test_one_that_waited_too_long_is_claimed_as_expired(stage: QueueStage) -> None:
    stage.submit("fresh", b"", Terms(max_age=3600))
    stage.submit("plain")
    submit_stale(stage, "stale")
    assert [(claim.job_id, claim.has_expired) for claim in stage.claim()] == [
        ("fresh", False),
        ("plain", False),
        ("stale", True),
    ]
    assert stage.ledger.total("started") == 2


@pytest.mark.parametrize("body", [b"small", b"L" * 100_000])
def test_its_end_is_visible_counted_and_keeps_its_body(stage: QueueStage, body: bytes) -> None:
    submit_stale(stage, body=body)
    assert stage.record("a").expires_at != ""
    claim = stage.claim_one()
    assert stage.finish(claim, failure(response=None, **expired()))
    record = stage.record("a")
    assert (record.state, record.is_final, record.response) == ("expired", True, None)
    assert stage.counts() == {"failed": 1}
    assert stage.ledger.total("expired") == 1
    assert stage.run(stage.worker.body(claim)) == body


@pytest.mark.parametrize("by_hand", [True, False])
def test_run_again_it_has_no_limit(stage: QueueStage, by_hand: bool) -> None:
    submit_stale(stage)
    stage.finish(stage.claim_one(), failure(response=None, **expired()))
    if by_hand:
        stage.job("a").requeue()
    else:
        assert call_blocking(stage.redis, REDRIVE, [{"id": "a"}], moment="2026-01-01T00:00:00.000000Z") == [b"redriven"]
    claim = stage.claim_one()
    assert not claim.has_expired
    assert stage.ledger.total("redriven") == 1
    assert stage.record("a").expires_at == ""
    assert stage.finish(claim)
    assert stage.record("a").state == "succeeded"


def test_one_for_later_is_as_old_as_it_is_overdue(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(delay=0.1, max_age=3600))
    stage.submit("b", b"", Terms(delay=0.1, max_age=0.001))
    wait_until(lambda: len(stage.promoted()) == 2)
    time.sleep(0.005)
    assert {claim.job_id: claim.has_expired for claim in stage.claim()} == {"a": False, "b": True}


def test_it_is_not_put_off_beyond_its_time(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(max_age=0.2))
    assert stage.retry_later(stage.claim_one(), postponement(delay=3600))
    assert stage.record("a").state == "retrying"
    wait_until(stage.promoted)
    assert stage.claim_one().has_expired


def test_it_is_put_off_no_further_than_it_was_asked_to(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(max_age=3600))
    stage.retry_later(stage.claim_one(), postponement(delay=0.0))
    stage.promote()
    assert not stage.claim_one().has_expired


def test_a_limit_that_does_not_parse_is_none(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(max_age=3600))
    stage.redis.hset("rq:job:a", "expires", "soon")
    assert stage.record("a").expires_at == ""
    claim = stage.claim_one()
    assert not claim.has_expired
    assert stage.retry_later(claim)
