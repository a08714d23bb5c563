"""Limits on how many calls of a function run at a time hold over all workers, and through their deaths."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from swarmfn.jobs.calls_by_state import CallsByState, Selection
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.terms import Full, QueueLimits, Terms
from tests.support.queue_stage import QueueStage, failure, invocation, postponement


def limited(others: bool = False, **limits: int) -> Callable[[str], str]:
    return lambda queue: json.dumps({"limits": limits, "others": others})


def ids(claims: list[Claim]) -> list[str]:
    return [claim.job_id for claim in claims]


def submit(stage: QueueStage, *call_ids: str, function: str = "echo", queue: str = "echo") -> None:
    for call_id in call_ids:
        stage.submit(invocation(call_id, function, queue=queue))


def test_workers_share_a_functions_limit(stage: QueueStage) -> None:
    submit(stage, "a", "b", "c", "d")
    other = stage.consumer("w2")
    first = stage.claim(count=1, limits=limited(echo=2))
    second = stage.claim(by=other, limits=limited(echo=2))
    assert (ids(first), ids(second)) == (["a"], ["b"])
    assert stage.claim(limits=limited(echo=2)) == []
    assert stage.queue().job_ids == ["c", "d"]
    stage.finish(first[0])
    assert ids(stage.claim(by=other, limits=limited(echo=2))) == ["c"]


def test_whatever_ends_a_claim_makes_room(stage: QueueStage) -> None:
    submit(stage, "a", "b", "c", "d", "e")
    (put_off,) = stage.claim(limits=limited(echo=1))
    assert stage.retry_later(put_off, postponement(delay=60))
    (left,) = stage.claim(limits=limited(echo=1))
    assert stage.claim(limits=limited(echo=1)) == []
    stage.lapse()
    stage.reap()
    (handed_back,) = stage.claim(limits=limited(echo=1))
    assert handed_back.job_id == left.job_id
    stage.run(stage.worker.hand_back([handed_back]))
    assert ids(stage.claim(limits=limited(echo=1))) == [left.job_id]
    stage.hand_back_all()
    assert ids(stage.claim(limits=limited(echo=1))) == ["c"]


def test_a_limit_that_changes_holds_from_the_next_claim_on(stage: QueueStage) -> None:
    submit(stage, *"abcdef")
    assert len(stage.claim(limits=limited(echo=2))) == 2
    assert len(stage.claim(limits=limited(echo=3))) == 1
    assert stage.claim(limits=limited(echo=1)) == []
    assert len(stage.claim()) == 3


def test_on_a_shared_queue_others_overtake_and_those_that_wait_keep_their_order(stage: QueueStage) -> None:
    submit(stage, "a1", "a2", "a3", function="slow", queue="shared")
    submit(stage, "b1", "b2", function="fast", queue="shared")
    submit(stage, "a4", function="slow", queue="shared")
    limits = limited(others=True, slow=1)
    assert ids(stage.claim("shared", limits=limits)) == ["a1", "b1", "b2"]
    assert stage.queue("shared").job_ids == []
    assert stage.claim("shared", limits=limits) == []
    assert stage.counts("shared") == {"deferred": 3, "started": 3}
    for n in (1, 2, 3, 4):
        record = stage.record(f"a{n}")
        assert record.state == ("running" if n == 1 else "queued")
        assert stage.run(stage.submissions.position(record)) == (None if n == 1 else n - 2)
    (waiting,) = stage.ledger.census().queues
    assert (waiting.waiting, waiting.running) == (3, 3)
    assert waiting.oldest is not None


def test_a_queue_without_room_is_not_said_to_hold_more(stage: QueueStage) -> None:
    """A worker asks again at once where there is more: it would do nothing else."""
    submit(stage, "a", "b", "c")
    assert stage.run(stage.worker.claim([("echo", 1)], limited(echo=2))).more == ["echo"]
    assert stage.run(stage.worker.claim([("echo", 5)], limited(echo=2))).more == ["echo"]
    assert stage.run(stage.worker.claim([("echo", 5)], limited(echo=2))).more == []


def test_damaged_jobs_on_a_limited_queue_are_passed_through(stage: QueueStage) -> None:
    stage.redis.hset("rq:job:bad", mapping={"data": b"x", "call": b"{", "status": "queued"})
    stage.redis.set("rq:job:worse", b"no hash")
    stage.redis.rpush("rq:queue:echo", "bad", "worse", "not an id")
    submit(stage, "a")
    claims = stage.claim(limits=limited(others=True, echo=1))
    assert ids(claims) == ["bad", "worse", "a"]
    for claim in claims[:2]:
        stage.finish(claim, failure(counter="foreign:echo"))
    stage.finish(claims[2])


LIMITS = limited(others=True, slow=1)


@pytest.fixture
def held(stage: QueueStage) -> Claim:
    """The only call of `slow` that may run; behind it h1, h2 and h3 are held back."""
    submit(stage, "h0", "h1", "h2", "h3", function="slow", queue="shared")
    (claim,) = stage.claim("shared", limits=LIMITS)
    assert stage.counts("shared") == {"deferred": 3, "started": 1}
    return claim


def nothing_held(stage: QueueStage) -> bool:
    return not stage.redis.exists("swarmfn:held", "swarmfn:held:slow:shared", "rq:deferred:shared")


def test_those_that_were_held_run_in_their_order_before_what_came_later(stage: QueueStage, held: Claim) -> None:
    submit(stage, "later", function="slow", queue="shared")
    stage.finish(held)
    for call_id in ("h1", "h2", "h3", "later"):
        (claim,) = stage.claim("shared", limits=LIMITS)
        assert claim.job_id == call_id
        stage.finish(claim)
    assert stage.claim("shared", limits=LIMITS) == []
    assert nothing_held(stage)


def test_a_claim_looks_once_at_each_call_that_is_over_its_limit(stage: QueueStage) -> None:
    """What others cost does not grow with those that wait."""
    submit(stage, "h0", *(f"h{n}" for n in range(1, 700)), function="slow", queue="shared")
    submit(stage, "quick", function="fast", queue="shared")
    first = stage.run(stage.worker.claim([("shared", 10)], LIMITS))
    assert (ids(first.claims), first.more) == (["h0"], ["shared"])
    assert ids(stage.claim("shared", limits=LIMITS)) == ["quick"]

    def commands() -> int:
        return sum(entry["calls"] for entry in stage.redis.info("commandstats").values())

    def cost_of_a_claim() -> int:
        before = commands()
        assert stage.claim("shared", limits=LIMITS) == []
        return commands() - before

    many = cost_of_a_claim()
    assert stage.redis.llen("swarmfn:held:slow:shared") == 699
    stage.redis.ltrim("swarmfn:held:slow:shared", 0, 0)
    assert cost_of_a_claim() == many
    stage.redis.flushall()


def test_one_that_is_held_can_be_cancelled(stage: QueueStage, held: Claim) -> None:
    assert stage.cancel("h2") == "queued"
    assert stage.record("h2").state == "cancelled"
    assert stage.redis.lrange("swarmfn:held:slow:shared", 0, -1) == [b"h1", b"h3"]
    assert stage.counts("shared") == {"deferred": 2, "started": 1, "canceled": 1}


def test_those_that_are_held_are_listed_and_purged_as_queued(stage: QueueStage, held: Claim) -> None:
    submit(stage, "x", function="fast", queue="shared")
    calls = CallsByState(stage.redis)
    page = calls.page(Selection("queued"), 2)
    rest = calls.page(Selection("queued"), 10, page.cursor)
    assert {record.call_id for record in (*page.records, *rest.records)} == {"x", "h1", "h2", "h3"}
    assert calls.purge_all(Selection("queued", function="slow"), 10.0).replies["purged"] == 3
    assert nothing_held(stage)
    assert stage.ledger.total("purged") == 3


def test_they_count_in_the_depth_and_the_age_of_their_queue(stage: QueueStage, held: Claim) -> None:
    deep = Terms(limits=QueueLimits("shared", max_depth=3))
    full = stage.submit(invocation("y", "slow", queue="shared"), terms=deep)
    assert isinstance(full, Full)
    assert (full.by_age, full.depth) == (False, 3)
    time.sleep(0.02)
    old = Terms(limits=QueueLimits("shared", max_age=0.01))
    full = stage.submit(invocation("y", "slow", queue="shared"), terms=old)
    assert isinstance(full, Full)
    assert full.by_age
    assert full.age >= 0.01


def test_they_are_let_go_in_their_order_when_the_limit_is_gone(stage: QueueStage, held: Claim) -> None:
    submit(stage, "later", function="slow", queue="shared")
    assert stage.run(stage.worker.held()) == [("slow", "shared")]
    stage.run(stage.worker.let_go("slow", "shared", at_once=2))
    assert nothing_held(stage)
    assert stage.queue("shared").job_ids == ["h1", "h2", "h3", "later"]
    assert stage.counts("shared") == {"queued": 4, "started": 1}
    assert stage.run(stage.worker.held()) == []


def test_what_became_of_one_meanwhile_is_respected(stage: QueueStage, held: Claim) -> None:
    """RQ's own tools know nothing of the list that a call is held in."""
    stage.redis.delete("rq:job:h1")
    stage.redis.hset("rq:job:h2", "status", "canceled")
    stage.finish(held)
    assert ids(stage.claim("shared", limits=LIMITS)) == ["h3"], "it waits for none of them"
    assert nothing_held(stage)
    stage.redis.flushall()


def test_priorities_are_held_apart(stage: QueueStage, held: Claim) -> None:
    submit(stage, "urgent", function="slow", queue="shared:high")
    assert stage.claim("shared", limits=LIMITS) == []
    assert stage.run(stage.submissions.position(stage.record("h1"))) == 1
    stage.finish(held)
    assert ids(stage.claim("shared", limits=LIMITS)) == ["urgent"]


def test_a_queue_with_nothing_but_held_calls_is_not_forgotten(stage: QueueStage, held: Claim) -> None:
    stage.finish(held)
    stage.redis.delete("rq:finished:shared")
    stage.tidy()
    assert stage.redis.sismember("swarmfn:queues", "shared")
