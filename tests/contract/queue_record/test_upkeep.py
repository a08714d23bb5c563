"""What is cleaned up when no worker of RQ's own ever runs, and a Redis whose memory is full."""

from __future__ import annotations

import pytest
from rq import Queue

from swarmfn.jobs.calls_by_state import CallsByState
from swarmfn.wire.errors import QueueUnavailable
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, success


def test_expired_entries_leave_the_registries(stage: QueueStage) -> None:
    for call_id in ("a", "b", "c"):
        stage.submit(call_id)
    stage.finish(stage.claim_one())
    stage.finish(stage.claim_one(), failure())
    stage.finish(stage.claim_one(), failure())
    stage.redis.zadd("rq:finished:echo", {"a": 1})
    stage.redis.zadd("rq:failed:echo", {"b": 1})
    stage.tidy()
    assert stage.redis.zcard("rq:finished:echo") == 0
    assert stage.redis.zrange("rq:failed:echo", 0, -1) == [b"c"]


def test_a_queue_that_holds_nothing_is_forgotten_and_comes_back(stage: QueueStage) -> None:
    stage.submit("a")
    stage.tidy()
    assert Queue.all(stage.redis) == [stage.queue()]
    stage.finish(stage.claim_one())
    stage.tidy()
    assert Queue.all(stage.redis) == [stage.queue()]
    stage.redis.zadd("rq:finished:echo", {"a": 1})
    stage.tidy()
    assert Queue.all(stage.redis) == []
    assert stage.run(stage.worker.queues()) == {}
    stage.submit("b")
    assert stage.run(stage.worker.queues()) == {"echo": 1}


def test_queues_of_single_receivers_that_an_earlier_version_made_are_merged(stage: QueueStage) -> None:
    """Deliveries that wait on them are claimed as ever; those that have ended are found on today's queue."""
    earlier = "callbacks:receiver:80"
    for number in range(250):
        stage.submit(invocation(f"c{number}", callback_url="http://receiver/"))
        completion = success(delivery=delivery(f"d{number}", f"c{number}"), delivery_timeout=5)
        stage.finish(stage.claim_one(), completion)
        stage.redis.hset(f"rq:job:d{number}", "origin", earlier)
    stage.redis.rename(f"rq:queue:{CALLBACKS}", f"rq:queue:{earlier}")
    stage.redis.srem("rq:queues", f"rq:queue:{CALLBACKS}")
    stage.redis.srem("swarmfn:queues", CALLBACKS)
    stage.redis.sadd("rq:queues", f"rq:queue:{earlier}")
    stage.redis.sadd("swarmfn:queues", earlier)
    stage.tidy()
    assert stage.run(stage.worker.queues()) == {"echo": 0, earlier: 250}
    for _ in range(250):
        claim = stage.claim_one(earlier)
        event = "undelivered" if claim.job_id == "d7" else "delivered"
        stage.finish(claim, (failure if claim.job_id == "d7" else success)(counter=f"{event}:echo"))
    stage.tidy()
    assert stage.run(stage.worker.queues()) == {"echo": 0, CALLBACKS: 0}
    assert stage.counts(CALLBACKS) == {"finished": 249, "failed": 1}
    assert CallsByState(stage.redis).redrive(["d7"]) == ["redriven"]
    assert stage.counts(CALLBACKS) == {"finished": 249, "queued": 1}


def test_queues_of_other_people_are_left_alone(stage: QueueStage) -> None:
    theirs = Queue("reports", connection=stage.redis)
    theirs.enqueue("os.getpid")
    assert "reports" not in stage.run(stage.worker.queues())
    stage.redis.delete("rq:queue:reports")
    stage.tidy()
    assert theirs in Queue.all(stage.redis)


def test_workers_that_vanished_leave_rqs_lists(stage: QueueStage) -> None:
    stage.submit("a")
    lists = ("rq:workers", "rq:workers:echo", "rq:workers:callbacks")
    stage.redis.hset("rq:worker:alive", "state", "idle")
    for workers in lists:
        stage.redis.sadd(workers, "rq:worker:alive", "rq:worker:gone")
    stage.tidy()
    for workers in lists:
        assert stage.redis.smembers(workers) == {b"rq:worker:alive"}


def test_the_large_body_of_a_deleted_job_goes(stage: QueueStage) -> None:
    stage.submit("a", b"x" * 100_000)
    stage.submit("b", b"x" * 100_000)
    stage.job("a").delete()
    stage.tidy()
    assert stage.keys("swarmfn:body:*") == {"swarmfn:body:b"}
    assert stage.redis.smembers("swarmfn:bodies") == {b"b"}
    stage.redis.hincrby("swarmfn:totals", "accepted:echo", -1)


def test_a_full_redis_refuses_calls_and_still_lets_those_it_has_come_to_their_end(stage: QueueStage) -> None:
    for number in range(4):
        stage.submit(f"c{number}", b"x" * 1000)
    running = stage.claim_one()
    stage.lapse()
    stage.redis.config_set("maxmemory-policy", "noeviction")
    stage.redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(QueueUnavailable, match="no memory"):
            stage.submit("refused", b"x" * 1000)
        with pytest.raises(QueueUnavailable, match="no memory"):
            stage.submit("refused", b"x" * 100_000)
        assert stage.run(stage.worker.renew([running])) == frozenset()
        assert stage.reap() == 0
        large = b"L" * 100_000
        assert stage.finish(running, success(large, delivery=delivery("cb_1", "c0"), delivery_body=large))
        assert stage.answer("c0") == large
        assert stage.run(stage.worker.body(stage.claim_one(CALLBACKS))) == large
        put_off, handed_back = stage.claim(count=2)
        assert stage.retry_later(put_off)
        assert stage.run(stage.worker.hand_back([handed_back])) == 1
        stage.promote()
        for claim in stage.claim():
            assert stage.finish(claim, success(b"done"))
        stage.tidy()
    finally:
        stage.redis.config_set("maxmemory", "0")
    assert stage.counts() == {"finished": 4}
    assert stage.counts(CALLBACKS) == {"started": 1}


@pytest.mark.parametrize("is_handed_back", [True, False])
def test_a_claim_that_cannot_be_queued_again_is_not_lost_and_stops_no_other(
    stage: QueueStage, is_handed_back: bool
) -> None:
    stage.submit(invocation("a", queue="odd"))
    stage.submit("b")
    claims = [stage.claim_one("odd"), stage.claim_one()]
    stage.redis.set("rq:queue:odd", "no list")
    stage.lapse()
    assert (stage.run(stage.worker.hand_back(claims)) if is_handed_back else stage.reap()) == 1
    assert stage.queue().job_ids == ["b"]
    assert stage.record("a").state == "running"
    stage.redis.delete("rq:queue:odd")
    stage.lapse()
    assert stage.reap() == 1
    assert stage.redis.lrange("rq:queue:odd", 0, -1) == [b"a"]
