"""Limits on how many calls of a function run at a time hold over all workers, and through their deaths."""

from __future__ import annotations

import json
from collections.abc import Callable

from swarmfn.jobs.claimed import Claim
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
    other = stage.claims("w2")
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
    (handed_back,) = stage.claim(limits=limited(echo=1))
    stage.run(stage.worker.hand_back([handed_back]))
    (left,) = stage.claim(limits=limited(echo=1))
    assert left.job_id == handed_back.job_id
    assert stage.claim(limits=limited(echo=1)) == []
    stage.lapse()
    stage.reap()
    assert ids(stage.claim(limits=limited(echo=1))) == [left.job_id]


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
    assert stage.queue("shared").job_ids == ["a2", "a3", "a4"]
    assert stage.claim("shared", limits=limits) == []
    assert stage.counts("shared") == {"queued": 3, "started": 3}


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
