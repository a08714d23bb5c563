"""Who owns a claim, and what happens to it when its worker is gone, late or in doubt."""

from __future__ import annotations

import dataclasses

from rq.job import JobStatus

from swarmfn.jobs.calls_by_state import CallsByState, Selection
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.consumer import hand_back_all
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, postponement, success


def test_a_claim_whose_lease_has_lapsed_is_queued_again_at_the_head(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    stage.submit("b")
    stage.claim_one()
    assert stage.reap() == 0
    stage.lapse()
    assert stage.reap() == 1
    assert stage.queue().job_ids == ["a", "b"]
    assert stage.nothing_claimed()
    claim = stage.claim_one(by=stage.consumer("w2"))
    assert (claim.job_id, claim.inline_body, claim.failures) == ("a", b"the body", 1)
    assert stage.record("a").interruptions == 1


def test_renewing_keeps_a_claim(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    stage.lapse()
    assert stage.run(stage.worker.renew([claim])) == frozenset()
    assert stage.reap() == 0
    assert stage.finish(claim)


def test_renewing_tells_which_claims_were_taken_over_and_does_not_take_them_back(stage: QueueStage) -> None:
    stage.submit("a")
    stage.submit("b")
    kept, lost = stage.claim(count=2)
    stage.run(stage.worker.hand_back([lost]))
    assert stage.run(stage.worker.renew([kept, lost])) == {lost.entry}
    assert stage.redis.zcard("swarmfn:leases") == 1


def test_a_late_finisher_is_refused_and_the_takers_result_stays(stage: QueueStage) -> None:
    stage.submit("a")
    late = stage.claim_one()
    stage.lapse()
    stage.reap()
    other = stage.consumer("w2")
    taker = stage.claim_one(by=other)
    assert not stage.finish(
        late, success(b"late" * 50_000, delivery=delivery("cb_1", "a"), delivery_body=b"l" * 99_999)
    )
    assert stage.job("a").get_status() == JobStatus.STARTED
    assert stage.finish(taker, success(b"in time" * 50_000), by=other)
    assert not stage.finish(late, success(b"late" * 50_000))
    assert stage.answer("a") == b"in time" * 50_000
    assert stage.counts(CALLBACKS) == {}
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.ledger.total("succeeded") == 1
    assert stage.nothing_claimed()


def test_a_restarted_worker_of_the_same_name_is_not_taken_for_the_earlier_one(stage: QueueStage) -> None:
    """Both count their claims from one."""
    stage.submit("a")
    late = stage.claim_one(by=stage.consumer("w"))
    stage.hand_back_all("w")
    restarted = stage.consumer("w")
    (claim,) = stage.run(restarted.claim_alone("")).claims
    assert (claim.job_id, claim.execution == late.execution) == ("a", False)
    assert not stage.finish(late, success(b"of the earlier one"), by=stage.consumer("w"))
    assert stage.finish(claim, success(b"of the restarted one"), by=restarted)
    assert stage.answer("a") == b"of the restarted one"


def test_the_claims_of_a_worker_that_never_comes_back_expire(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    assert 0 < stage.redis.ttl("swarmfn:claims:w1") <= 86400
    stage.redis.persist("swarmfn:claims:w1")
    stage.run(stage.worker.renew([claim]))
    assert 0 < stage.redis.ttl("swarmfn:claims:w1") <= 86400


def test_a_late_worker_can_neither_put_off_nor_hand_back(stage: QueueStage) -> None:
    stage.submit("a")
    late = stage.claim_one()
    stage.lapse()
    stage.reap()
    assert not stage.retry_later(late)
    assert stage.run(stage.worker.hand_back([late])) == 0
    assert stage.counts() == {"queued": 1}


def test_a_finish_repeated_after_a_lost_reply_counts_once(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    completion = success(b"y" * 99_999, delivery=delivery("cb_1", "a"), delivery_body=b"y" * 99_999)
    assert stage.finish(claim, completion)
    assert not stage.finish(claim, completion)
    assert stage.ledger.total("succeeded") == 1
    assert stage.counts(CALLBACKS) == {"queued": 1}
    assert stage.redis.ttl("swarmfn:body:cb_1") == -1
    assert stage.keys("swarmfn:upload:*") == set()


def test_everything_a_dead_worker_had_claimed_waits_to_be_run_alone_and_nobody_is_charged(stage: QueueStage) -> None:
    for number in range(5):
        stage.submit(f"c{number}")
    stage.claim(count=3, by=stage.consumer("dead"))
    kept = stage.claim_one()
    assert hand_back_all(stage.redis, "dead") == 3
    assert stage.queue().job_ids == ["c4"]
    assert stage.counts() == {"queued": 1, "started": 1, "deferred": 3}
    for call_id in ("c0", "c1", "c2"):
        record = stage.record(call_id)
        assert (record.state, record.platform_failures, record.interruptions) == ("queued", 0, 1)
    assert stage.finish(kept)
    assert hand_back_all(stage.redis, "dead") == 0
    assert stage.nothing_claimed()


def alone(stage: QueueStage, worker: str = "alone", limits: str = "") -> list[Claim]:
    """What a process that runs calls alone gets."""
    return stage.run(stage.consumer(worker).claim_alone(limits)).claims


def interrupted(stage: QueueStage, *call_ids: str) -> None:
    """These ran in a process that died."""
    for call_id in call_ids:
        stage.submit(call_id)
    stage.claim(count=len(call_ids), by=stage.consumer("dead"))
    stage.hand_back_all("dead")


def test_what_is_to_be_run_alone_is_taken_one_at_a_time_and_by_nobody_else(stage: QueueStage) -> None:
    interrupted(stage, "a", "b")
    assert stage.claim(count=10) == []
    assert stage.run(stage.worker.waiting_alone()) == 2
    (first,) = alone(stage)
    assert first.failures == 0
    assert stage.counts() == {"started": 1, "deferred": 1}
    assert stage.finish(first, by=stage.consumer("alone"))
    (second,) = alone(stage)
    assert {first.job_id, second.job_id} == {"a", "b"}
    assert stage.finish(second, by=stage.consumer("alone"))
    assert alone(stage) == []
    assert stage.nothing_claimed()


def test_a_call_that_was_alone_when_its_process_died_is_charged_and_comes_last(stage: QueueStage) -> None:
    interrupted(stage, "a", "b")
    (first,) = alone(stage, "alone1")
    stage.hand_back_all("alone1")
    (other,) = alone(stage, "alone2")
    (again,) = alone(stage, "alone3")
    assert (again.job_id, again.failures, other.failures) == (first.job_id, 1, 0)
    assert stage.finish(other, by=stage.consumer("alone2"))
    assert stage.finish(again, by=stage.consumer("alone3"))


def test_leases_that_lapse_a_second_time_end_in_being_run_alone(stage: QueueStage) -> None:
    for call_id in ("a", "b"):
        stage.submit(call_id)
    stage.claim(count=2)
    stage.lapse()
    assert stage.reap() == 2
    assert stage.counts() == {"queued": 2}
    assert [claim.failures for claim in stage.claim(count=2, by=stage.consumer("w2"))] == [0, 0]
    stage.lapse()
    assert stage.reap() == 2
    assert stage.counts() == {"deferred": 2}
    assert [stage.record(call_id).platform_failures for call_id in ("a", "b")] == [0, 0]


def test_what_is_to_be_run_alone_keeps_to_its_functions_limit(stage: QueueStage) -> None:
    interrupted(stage, "a", "b")
    limits = '{"limits": {"echo": 1}}'
    (first,) = alone(stage, "alone1", limits)
    assert alone(stage, "alone2", limits) == []
    assert stage.run(stage.worker.waiting_alone()) == 1
    assert stage.finish(first, by=stage.consumer("alone1"))
    (second,) = alone(stage, "alone2", limits)
    assert stage.finish(second, by=stage.consumer("alone2"))


def test_one_that_is_to_be_run_alone_can_be_cancelled_listed_and_purged(stage: QueueStage) -> None:
    interrupted(stage, "a", "b", "c")
    assert stage.cancel("a") == "queued"
    calls = CallsByState(stage.redis)
    assert {record.call_id for record in calls.page(Selection("queued"), 10).records} == {"b", "c"}
    assert calls.purge(["b"]) == ["purged"]
    assert stage.run(stage.worker.waiting_alone()) == 1
    stage.redis.delete("rq:job:c")  # as RQ's own tools do, which know nothing of the list
    assert alone(stage) == []
    assert stage.counts() == {"canceled": 1}
    stage.redis.hset("swarmfn:totals", "cancelled:echo:echo", 2)  # deleting past the books is the deleter's business


def test_rqs_own_cleanup_does_not_fail_what_runs_long(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    stage.lapse()
    registry = stage.queue().started_job_registry
    registry.cleanup()
    registry.cleanup(timestamp=4_000_000_000)
    assert stage.job("a").get_status() == JobStatus.STARTED
    assert stage.finish(claim)
    assert stage.counts() == {"finished": 1}


def test_a_job_deleted_while_it_runs_leaves_nothing_behind(stage: QueueStage) -> None:
    for end in (stage.finish, stage.retry_later, lambda claim: stage.run(stage.worker.hand_back([claim]))):
        stage.submit("a")
        claim = stage.claim_one()
        stage.redis.delete("rq:job:a")
        assert not end(claim)
        assert not stage.redis.exists("rq:job:a")
        assert stage.nothing_claimed()
    stage.redis.hset("swarmfn:totals", "accepted:echo:echo", 0)  # deleting past the ledger is the deleter's business


def test_a_job_deleted_while_its_worker_died_leaves_nothing_behind(stage: QueueStage) -> None:
    stage.submit("a")
    stage.claim_one()
    stage.redis.delete("rq:job:a")
    stage.lapse()
    assert stage.reap() == 0
    assert not stage.redis.exists("rq:job:a", "swarmfn:leases", "rq:wip:echo")
    stage.redis.hset("swarmfn:totals", "accepted:echo:echo", 0)


def test_a_job_deleted_while_it_was_put_off_is_not_made_again(stage: QueueStage) -> None:
    stage.submit("a")
    stage.retry_later(stage.claim_one(), postponement(delay=-1))
    stage.redis.delete("rq:job:a")
    stage.promote()
    assert not stage.redis.exists("rq:job:a", "rq:queue:echo", "rq:scheduled:echo", "swarmfn:due")
    stage.redis.hset("swarmfn:totals", "accepted:echo:echo", 0)


def test_a_lease_made_before_the_clock_was_set_back_is_shortened(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    stage.redis.zadd("swarmfn:leases", {claim.entry: 4_000_000_000})
    stage.reap()
    seconds, _ = stage.redis.time()
    lapses = stage.redis.zscore("swarmfn:leases", claim.entry)
    assert lapses is not None
    assert lapses <= seconds + 601


def test_workers_leave_each_other_their_claims(stage: QueueStage) -> None:
    for number in range(6):
        stage.submit(f"c{number}")
    other = stage.consumer("w2")
    mine, theirs = stage.claim(count=3), stage.claim(count=3, by=other)
    assert {claim.job_id for claim in mine}.isdisjoint(claim.job_id for claim in theirs)
    assert not stage.finish(_as_of(mine[0], theirs[0]), success())
    assert all(stage.finish(claim, by=other) for claim in theirs)
    assert all(stage.finish(claim, failure()) for claim in mine)


def _as_of(claim: Claim, other: Claim) -> Claim:
    """The other's job with this claim's token: what a confused worker might send."""
    return dataclasses.replace(other, execution=claim.execution)
