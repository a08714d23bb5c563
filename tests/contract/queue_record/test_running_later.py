"""Calls that are not to run yet: scheduled for everybody who looks, and queued once when they are due."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from swarmfn.jobs.terms import IdempotencyKey, Replay, Terms
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until

LARGE = b"L" * 100_000


def test_a_call_for_later_is_in_rqs_registry_of_scheduled_jobs(stage: QueueStage) -> None:
    due = time.time() + 3600
    assert stage.submit("a", b"x", Terms(run_at=due))
    assert stage.counts() == {"scheduled": 1}
    job = stage.job("a")
    assert job.get_status() == "scheduled"
    assert job.enqueued_at is None
    registry = stage.queue().scheduled_job_registry
    assert registry.get_scheduled_time("a") == datetime.fromtimestamp(round(due, 6), UTC)
    assert stage.queue() in stage.queue().all(connection=stage.redis)
    record = stage.record("a")
    assert record.state == "scheduled"
    assert stage.run(stage.submissions.due(record)) == pytest.approx(due, abs=0.001)
    stage.promote()
    assert stage.claim() == []
    assert stage.ledger.pending() == 1


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_when_it_is_due_it_is_queued_once_whoever_looks(stage: QueueStage, body: bytes) -> None:
    assert stage.submit("a", body, Terms(delay=0.2))
    assert stage.claim() == []
    wait_until(lambda: stage.redis.zrangebyscore("swarmfn:due", 0, stage.redis.time()[0] + 1), message="it is due soon")

    def promoted() -> bool:
        stage.promote()
        stage.run(stage.consumer("w2").promote())
        return bool(stage.queue().job_ids)

    wait_until(promoted)
    assert stage.counts() == {"queued": 1}
    claim = stage.claim_one()
    assert stage.run(stage.worker.body(claim)) == body
    assert stage.finish(claim)
    assert stage.counts() == {"finished": 1}


@pytest.mark.parametrize("terms", [Terms(run_at=1.0), Terms(run_at=time.time() - 1), Terms(delay=0.0)])
def test_a_moment_that_has_passed_means_at_once(stage: QueueStage, terms: Terms) -> None:
    assert stage.submit("a", b"", terms)
    assert stage.counts() == {"queued": 1}
    assert stage.job("a").enqueued_at is not None


def test_it_can_be_cancelled_before_it_is_due(stage: QueueStage) -> None:
    stage.submit("a", LARGE, Terms(delay=3600))
    assert stage.cancel("a") == "scheduled"
    assert stage.counts() == {"canceled": 1}
    assert stage.keys("swarmfn:due") == set()
    assert stage.keys("swarmfn:body:*") == set()
    assert stage.record("a").state == "cancelled"


def test_it_is_between_two_attempts_once_it_has_run(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(delay=0.01))
    wait_until(stage.promoted)
    stage.retry_later(stage.claim_one())
    assert stage.record("a").state == "retrying"


def test_a_taken_id_is_taken_for_later_too(stage: QueueStage) -> None:
    call = invocation("a", start_time=1)
    stage.submit(call, b"", Terms(delay=3600))
    assert stage.submit(call, b"", Terms(delay=3600)) is True
    assert stage.submit(invocation("a", start_time=2), b"", Terms(delay=1)) is False
    assert stage.counts() == {"scheduled": 1}


def test_a_key_and_a_time_go_together(stage: QueueStage) -> None:
    terms = Terms(IdempotencyKey("echo:k", "p", 60), delay=3600)
    assert stage.submit("a", b"", terms) is True
    assert stage.submit("b", b"", terms) == Replay("a")
    assert stage.counts() == {"scheduled": 1}


def test_rqs_own_scheduler_may_be_the_one_that_queues_it(stage: QueueStage) -> None:
    stage.submit("a", b"", Terms(delay=0.01))
    registry = stage.queue().scheduled_job_registry
    wait_until(lambda: registry.get_jobs_to_schedule(timestamp=int(time.time()) + 1))
    registry.remove("a")
    stage.queue()._enqueue_job(stage.job("a"))
    stage.promote()
    assert stage.queue().job_ids == ["a"]
    assert stage.finish(stage.claim_one())


def test_one_that_cannot_be_queued_is_not_lost_and_stops_no_other(stage: QueueStage) -> None:
    stage.redis.set("rq:queue:odd", "no list")
    assert stage.submit(invocation("a", queue="odd"), b"", Terms(delay=0.01))
    assert stage.submit("b", b"", Terms(delay=0.02))
    wait_until(lambda: stage.promoted() == ["b"])
    assert stage.record("a").state == "scheduled"
    stage.redis.delete("rq:queue:odd")
    stage.redis.zadd("swarmfn:due", {"a:odd": 1})  # it is tried again after ten seconds
    stage.promote()
    assert stage.redis.lrange("rq:queue:odd", 0, -1) == [b"a"]
    assert stage.record("a").state == "queued"
