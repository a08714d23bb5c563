"""Calls that are cancelled: whatever they are doing, they end once, as cancelled."""

from __future__ import annotations

import pytest
from rq.job import JobStatus

from swarmfn.jobs.layout import JOB_DATA
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success

LARGE = b"L" * 100_000


def assert_cancelled(stage: QueueStage, call_id: str) -> None:
    record = stage.record(call_id)
    assert (record.state, record.is_final) == ("cancelled", True)
    assert record.ended_at
    assert stage.job(call_id).get_status() == JobStatus.CANCELED
    assert stage.counts() == {"canceled": 1}
    assert stage.nothing_claimed()
    assert stage.ledger.total("cancelled") == 1
    assert not stage.redis.hexists(f"rq:job:{call_id}", "body")
    assert stage.keys("swarmfn:body:*") == set()
    assert 86400 < stage.redis.ttl(f"rq:job:{call_id}") <= 86400 + 3600
    assert stage.cancel(call_id) == "final"
    assert stage.ledger.total("cancelled") == 1


@pytest.mark.parametrize("body", [b"hello", LARGE])
def test_a_queued_call_never_runs(stage: QueueStage, body: bytes) -> None:
    stage.submit("a", body)
    assert stage.cancel("a") == "queued"
    assert_cancelled(stage, "a")
    assert stage.claim() == []


def test_a_call_that_was_put_off_is_not_queued_again(stage: QueueStage) -> None:
    stage.submit("a", LARGE)
    stage.retry_later(stage.claim_one(), postponement(delay=-1))
    assert stage.cancel("a") == "scheduled"
    assert_cancelled(stage, "a")
    stage.promote()
    assert stage.claim() == []
    assert not stage.redis.exists("swarmfn:due")


@pytest.mark.parametrize("end", ["succeeds", "fails", "put off", "handed back", "worker dies", "lease lapses"])
def test_whatever_a_cancelled_run_comes_to_it_stays_cancelled(stage: QueueStage, end: str) -> None:
    stage.submit("a", b"hello")
    claim = stage.claim_one()
    assert stage.cancel("a") == "started"
    if end == "succeeds":
        told = delivery("cb_1", "a")
        assert not stage.finish(claim, success(LARGE, delivery=told, delivery_body=LARGE))
    elif end == "fails":
        assert not stage.finish(claim, failure())
    elif end == "put off":
        assert not stage.retry_later(claim)
    elif end == "handed back":
        assert stage.run(stage.worker.hand_back([claim])) == 0
    elif end == "worker dies":
        assert stage.hand_back_all() == 0
    else:
        assert stage.reap() == 0
    assert_cancelled(stage, "a")
    assert stage.counts(CALLBACKS) == {}
    assert stage.keys("swarmfn:upload:*") == set()


def test_its_worker_hears_of_it_at_once_and_others_do_not(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    assert stage.run(stage.worker.promote()).cancelled == frozenset()
    stage.cancel("a")
    assert stage.run(stage.worker.promote()).cancelled == {claim.entry}
    # Again, in case that reply was lost; and when it renews its lease, in case all of them were.
    assert stage.run(stage.worker.promote()).cancelled == {claim.entry}
    assert stage.run(stage.worker.renew([claim])) == {claim.entry}
    assert stage.run(stage.consumer("w2").promote()).cancelled == frozenset()


def test_the_note_to_its_worker_goes_away_by_itself(stage: QueueStage) -> None:
    """The worker may be gone, and nobody else takes the note away."""
    stage.submit("a")
    stage.claim_one()
    stage.cancel("a")
    assert 0 < stage.redis.ttl("swarmfn:stop:w1") <= 30


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_call_that_has_ended_stays_as_it_is(stage: QueueStage, state: str) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success() if state == "succeeded" else failure())
    assert stage.cancel("a") == "final"
    assert stage.record("a").state == state
    assert stage.ledger.total("cancelled") == 0


def test_only_calls_can_be_cancelled(stage: QueueStage) -> None:
    assert stage.cancel("nobody") == "unknown"
    stage.submit("a")
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a")))
    assert stage.cancel("cb_1") == "unknown"
    stage.redis.set("rq:job:text", "no hash")
    stage.redis.hset("rq:job:bad", mapping={"data": JOB_DATA, "call": b"\xff{", "status": "queued"})
    assert stage.cancel("text") == stage.cancel("bad") == "unknown"
    assert stage.counts(CALLBACKS) == {"queued": 1}


def test_one_queued_again_by_hand_can_be_cancelled_before_it_runs(stage: QueueStage) -> None:
    stage.submit("a", b"hello")
    stage.finish(stage.claim_one(), failure())
    stage.job("a").requeue()
    assert stage.cancel("a") == "queued"
    assert stage.record("a").state == "cancelled"
    assert (stage.ledger.total("redriven"), stage.ledger.total("cancelled")) == (1, 1)


def test_a_cancelled_call_queued_again_by_hand_does_not_run_without_its_body(stage: QueueStage) -> None:
    stage.submit("a", b"hello")
    stage.cancel("a")
    stage.redis.hset("rq:job:a", "status", "queued")
    stage.redis.rpush("rq:queue:echo", "a")
    assert stage.claim() == []
    assert stage.record("a").state == "cancelled"


def test_the_entry_goes_when_its_record_has_and_those_of_rq_stay(stage: QueueStage) -> None:
    stage.submit("a")
    stage.submit(invocation("b"))
    stage.cancel("a")
    stage.job("b").cancel()
    stage.tidy()
    assert stage.counts() == {"canceled": 2}
    stage.redis.delete("rq:job:a")  # it has expired
    stage.tidy()
    assert stage.queue().canceled_job_registry.get_job_ids(cleanup=False) == ["b"]
    stage.redis.hincrby("swarmfn:totals", "cancelled:echo", 1)  # nobody counts what was cancelled through RQ


def test_cancelling_makes_room_in_a_full_redis(stage: QueueStage) -> None:
    stage.submit("a", LARGE)
    stage.redis.config_set("maxmemory-policy", "noeviction")
    stage.redis.config_set("maxmemory", "1mb")
    try:
        assert stage.cancel("a") == "queued"
    finally:
        stage.redis.config_set("maxmemory", "0")
    assert_cancelled(stage, "a")
