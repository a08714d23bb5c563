"""What people do with RQ's own tools while our calls are on their way."""

from __future__ import annotations

import pytest
from rq.job import JobStatus
from rq.scheduler import RQScheduler
from rq.suspension import resume, suspend

from swarmfn.jobs import plain_rq_records
from swarmfn.jobs.layout import RUN_FIELDS
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success


def test_nothing_is_claimed_while_rq_is_suspended(stage: QueueStage) -> None:
    stage.submit("a")
    suspend(stage.redis)
    assert stage.claim() == []
    assert stage.counts() == {"queued": 1}
    resume(stage.redis)
    assert stage.finish(stage.claim_one())


def test_the_run_of_a_call_cancelled_through_rq_is_told_to_stop_at_the_next_renewal(stage: QueueStage) -> None:
    stage.submit("a")
    stage.submit("b")
    cancelled, other = stage.claim(count=2)
    stage.job("a").cancel()
    assert stage.run(stage.worker.renew([cancelled, other])) == {cancelled.entry}
    # Its lease was not prolonged either, unlike the other's.
    stopped, goes_on = (stage.redis.zscore("swarmfn:leases", claim.entry) for claim in (cancelled, other))
    assert stopped is not None
    assert goes_on is not None
    assert stopped < goes_on
    assert stage.finish(other)
    stage.finish(cancelled)


def test_a_failed_call_queued_again_starts_anew(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    stage.retry_later(stage.claim_one(), postponement(delay=-1, failures=4))
    stage.promote()
    stage.finish(stage.claim_one(), failure(b"x" * 99_999, delivery=delivery("cb_1", "a")))
    stage.job("a").requeue()
    assert stage.counts() == {"queued": 1}
    assert stage.record("a").state == "queued"
    claim = stage.claim_one()
    assert (claim.failures, claim.attempts, claim.next_attempt) == (0, (), 1)
    assert claim.inline_body == b"the body"
    record = stage.record("a")
    assert (record.state, record.response, record.callback_state, record.delivery_id) == ("running", None, "", "")
    assert not record.has_large_answer
    assert stage.redis.ttl("rq:job:a") == -1
    stage.finish(claim, success(b"this time"))
    assert stage.answer("a") == b"this time"
    assert not stage.redis.exists("swarmfn:response:a")
    assert stage.ledger.total("redriven") == 1


def test_a_failed_call_starts_anew_in_a_plain_rq_worker_too(stage: QueueStage) -> None:
    stage.submit("a", b"L" * 100_000)
    stage.finish(stage.claim_one(), failure(b"x" * 99_999, delivery=delivery("cb_1", "a")))
    stage.job("a").requeue()
    plain_rq_records.begin_anew(stage.redis, invocation("a"))
    assert [field for field in RUN_FIELDS if stage.redis.hexists("rq:job:a", field)] == []
    assert not stage.redis.exists("swarmfn:response:a")
    assert (stage.redis.ttl("rq:job:a"), stage.redis.ttl("swarmfn:body:a")) == (-1, -1)
    assert stage.redis.zcard("swarmfn:letters:failed:echo:echo") == 0


def test_a_large_body_is_there_for_a_call_queued_again(stage: QueueStage) -> None:
    stage.submit("a", b"L" * 100_000)
    stage.finish(stage.claim_one(), failure())
    stage.job("a").requeue()
    claim = stage.claim_one()
    assert stage.run(stage.worker.body(claim)) == b"L" * 100_000
    assert stage.redis.ttl("swarmfn:body:a") == -1


def test_a_failed_delivery_queued_again_is_no_call_in_the_books(stage: QueueStage) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a"), delivery_body=b"out"))
    undelivered = failure(counter="undelivered:echo", parent="a", parent_note="failed")
    stage.finish(stage.claim_one(CALLBACKS), undelivered)
    assert stage.record("a").callback_state == "failed"
    stage.job("cb_1").requeue()
    claim = stage.claim_one(CALLBACKS)
    assert claim.inline_body == b"out"
    stage.finish(claim, success(counter="delivered:echo", parent="a", parent_note="delivered"))
    assert stage.record("a").callback_state == "delivered"
    assert stage.ledger.total("redriven") == 0


def test_the_callback_of_an_earlier_run_does_not_speak_for_a_later_one(stage: QueueStage) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), failure(delivery=delivery("cb_1", "a")))
    old = stage.claim_one(CALLBACKS)
    stage.job("a").requeue()
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_2", "a")))
    stage.finish(old, success(counter="delivered:echo", parent="a", parent_note="the old one"))
    assert stage.record("a").callback_state == "queued"


def test_a_call_that_has_succeeded_is_not_run_again_without_its_body(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    stage.finish(stage.claim_one())
    stage.queue().enqueue_job(stage.job("a"))
    assert stage.claim() == []
    assert stage.job("a").get_status() == JobStatus.FINISHED
    assert stage.record("a").state == "succeeded"


def test_a_call_cancelled_while_queued_is_not_run(stage: QueueStage) -> None:
    stage.submit("a")
    stage.job("a").cancel()
    stage.redis.rpush("rq:queue:echo", "a")  # RQ removes the id; a claim under way may have it still
    assert stage.claim() == []
    assert stage.counts() == {"canceled": 1}
    assert stage.record("a").state == "cancelled"
    stage.redis.hincrby("swarmfn:totals", "cancelled:echo", 1)  # nobody of us saw it go


@pytest.mark.parametrize("end", ["finish", "retry_later", "hand_back", "reap"])
def test_a_call_cancelled_while_running_stays_cancelled(stage: QueueStage, end: str) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    stage.job("a").cancel()
    stage.lapse()
    steps = {
        "finish": lambda: stage.finish(claim),
        "retry_later": lambda: stage.retry_later(claim),
        "hand_back": lambda: stage.run(stage.worker.hand_back([claim])),
        "reap": stage.reap,
    }
    assert not steps[end]()
    assert stage.job("a").get_status() == JobStatus.CANCELED
    assert stage.counts() == {"canceled": 1}
    assert stage.nothing_claimed()
    assert stage.ledger.total("cancelled") == 1


def test_a_call_cancelled_while_put_off_is_not_queued_again(stage: QueueStage) -> None:
    stage.submit("a")
    stage.retry_later(stage.claim_one(), postponement(delay=-1))
    stage.job("a").cancel()
    stage.promote()
    assert stage.claim() == []
    assert stage.counts() == {"canceled": 1}
    stage.redis.hincrby("swarmfn:totals", "cancelled:echo", 1)


def test_ids_of_deleted_jobs_are_passed_over(stage: QueueStage) -> None:
    for call_id in ("a", "b", "c"):
        stage.submit(call_id)
    stage.redis.delete("rq:job:a", "rq:job:b")
    (claim,) = stage.claim(count=3)
    assert claim.job_id == "c"
    assert not stage.redis.exists("rq:job:a", "rq:job:b")
    stage.redis.hincrby("swarmfn:totals", "accepted:echo", -2)


def test_a_claim_that_met_only_dead_ids_says_that_there_may_be_more(stage: QueueStage) -> None:
    for call_id in ("a", "b", "c"):
        stage.submit(call_id)
    stage.redis.delete("rq:job:a", "rq:job:b")
    claimed = stage.run(stage.worker.claim([("echo", 2)]))
    assert (claimed.claims, claimed.more) == ([], ["echo"])
    assert stage.run(stage.worker.claim([("echo", 2)])).more == []
    stage.redis.hincrby("swarmfn:totals", "accepted:echo", -2)


def test_an_id_that_is_in_the_list_twice_runs_once(stage: QueueStage) -> None:
    stage.submit("a")
    stage.redis.rpush("rq:queue:echo", "a", "a")
    claims = stage.claim(count=2)
    assert len(claims) == 1
    stage.finish(claims[0])
    assert stage.claim() == []
    assert stage.counts() == {"finished": 1}


def test_a_running_call_that_is_queued_again_by_hand_does_not_run_twice(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    stage.queue().enqueue_job(stage.job("a"))
    assert stage.claim(by=stage.consumer("w2")) == []
    assert stage.finish(claim)
    assert stage.counts() == {"finished": 1}


def test_rqs_scheduler_and_ours_do_not_queue_a_call_twice(stage: QueueStage) -> None:
    stage.submit(invocation("a"))
    stage.retry_later(stage.claim_one(), postponement(delay=-1))
    scheduler = RQScheduler(["echo"], connection=stage.redis)
    scheduler.acquire_locks()
    try:
        scheduler.enqueue_scheduled_jobs()
    finally:
        scheduler.release_locks()
    stage.promote()
    assert stage.queue().job_ids == ["a"]
