"""A queue with limits takes calls up to them, to the very one."""

from __future__ import annotations

import asyncio
import time

import pytest

from swarmfn.jobs.redis_commands import call
from swarmfn.jobs.scripts import ROOM
from swarmfn.jobs.terms import Full, IdempotencyKey, QueueLimits, Replay, Terms
from swarmfn.wire.priorities import priority_queue
from tests.support.queue_stage import QueueStage, invocation

LARGE = b"L" * 100_000


def depth(limit: int, queue: str = "echo") -> Terms:
    return Terms(limits=QueueLimits(queue, max_depth=limit))


def age(seconds: float) -> Terms:
    return Terms(limits=QueueLimits("echo", max_age=seconds))


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_beyond_its_depth_nothing_is_stored(stage: QueueStage, body: bytes) -> None:
    assert [stage.submit(f"c{number}", body, depth(2)) for number in range(2)] == [True, True]
    full = stage.submit("c2", body, depth(2))
    assert isinstance(full, Full)
    assert (full.by_age, full.depth) == (False, 2)
    assert 0 <= full.age < 60
    assert stage.queue().job_ids == ["c0", "c1"]
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.ledger.total("accepted") == 2


def test_one_batch_fills_it_to_the_brim_and_no_further(stage: QueueStage) -> None:
    async def submit_all() -> list[object]:
        calls = [invocation(f"c{number}") for number in range(50)]
        return await asyncio.gather(*(stage.submissions.submit(call, b"", depth(7)) for call in calls))

    replies = stage.run(submit_all())
    assert replies[:7] == [True] * 7
    assert all(isinstance(reply, Full) for reply in replies[7:])
    assert stage.counts() == {"queued": 7}


def test_there_is_room_again_when_calls_have_left(stage: QueueStage) -> None:
    stage.submit("a", b"", depth(1))
    assert isinstance(stage.submit("b", b"", depth(1)), Full)
    claim = stage.claim_one()
    assert stage.submit("c", b"", depth(1)) is True
    stage.finish(claim)


def test_priorities_and_calls_that_are_put_off_count_together(stage: QueueStage) -> None:
    for number, priority in enumerate(("high", "normal", "low")):
        assert stage.submit(invocation(f"c{number}", queue=priority_queue("echo", priority)), b"", depth(4)) is True
    assert stage.submit("later", b"", Terms(delay=3600, limits=QueueLimits("echo", 4))) is True
    for priority in ("high", "normal", "low"):
        assert isinstance(stage.submit(invocation("x", queue=priority_queue("echo", priority)), b"", depth(4)), Full)
    assert isinstance(stage.submit("y", b"", Terms(delay=3600, limits=QueueLimits("echo", 4))), Full)


def test_other_queues_and_calls_without_limits_are_not_concerned(stage: QueueStage) -> None:
    stage.submit("a", b"", depth(1))
    assert stage.submit(invocation("b", "other"), b"", depth(1, "other")) is True
    assert stage.submit("c") is True


def test_a_queue_whose_first_call_has_waited_too_long_takes_no_more(stage: QueueStage) -> None:
    assert stage.submit("a", b"", age(0.2)) is True
    assert stage.submit("b", b"", age(3600)) is True
    time.sleep(0.25)
    full = stage.submit("c", b"", age(0.2))
    assert isinstance(full, Full)
    assert full.by_age
    assert full.age >= 0.25
    assert stage.submit("d", b"", age(3600)) is True
    # What is for later is not held up by what waits now.
    assert stage.submit("e", b"", Terms(delay=3600, limits=QueueLimits("echo", max_age=0.2))) is True
    stage.claim(count=3)
    assert stage.submit("f", b"", age(0.2)) is True


def test_the_oldest_of_all_priorities_counts(stage: QueueStage) -> None:
    stage.submit(invocation("a", queue="echo:low"))
    time.sleep(0.25)
    stage.submit(invocation("b", queue="echo:high"))
    assert isinstance(stage.submit("c", b"", age(0.2)), Full)


def test_a_known_key_is_answered_by_a_full_queue_too(stage: QueueStage) -> None:
    terms = Terms(IdempotencyKey("echo:k", "p", 60), limits=QueueLimits("echo", 1))
    assert stage.submit("a", b"", terms) is True
    assert stage.submit("b", b"", terms) == Replay("a")


def test_a_refused_call_does_not_use_up_its_key(stage: QueueStage) -> None:
    stage.submit("a")
    terms = Terms(IdempotencyKey("echo:k", "p", 60), limits=QueueLimits("echo", 1))
    assert isinstance(stage.submit("b", b"", terms), Full)
    stage.claim_one()
    assert stage.submit("b", b"", terms) is True


def test_an_id_whose_job_is_gone_is_as_old_as_nothing(stage: QueueStage) -> None:
    stage.redis.rpush("rq:queue:echo", "gone")
    assert stage.submit("a", b"", age(0.01)) is True
    assert [claim.job_id for claim in stage.claim()] == ["a"]


def test_a_large_body_that_would_be_refused_is_not_even_sent(stage: QueueStage) -> None:
    terms = Terms(IdempotencyKey("echo:k", "p", 60), limits=QueueLimits("echo", 1))
    assert stage.submit("a", LARGE, terms) is True
    stage.redis.config_resetstat()
    assert stage.submit("b", LARGE, terms) == Replay("a")
    assert isinstance(stage.submit("c", LARGE, depth(1)), Full)
    assert stage.submit(invocation("a", start_time=1), LARGE, depth(0)) is False
    assert "cmdstat_set" not in stage.redis.info("commandstats")
    claim = stage.claim_one()
    assert stage.run(stage.worker.body(claim)) == LARGE


def test_no_more_are_put_off_than_may_be_whatever_their_queue(stage: QueueStage) -> None:
    later = Terms(delay=3600, max_put_off=2)
    assert stage.submit("a", b"", later) is True
    assert stage.submit(invocation("b", "other"), b"", Terms(run_at=time.time() + 3600, max_put_off=2)) is True
    full = stage.submit("c", b"", later)
    assert isinstance(full, Full)
    assert (full.by_put_off, full.depth) == (True, 2)
    assert stage.submit("d", b"", Terms(run_at=1.0, max_put_off=2)) is True, "its moment has passed"
    assert stage.submit("e") is True


def test_gateways_see_the_long_queues_in_one_look(stage: QueueStage) -> None:
    assert stage.run(call(stage.client, ROOM, limit=1)) == [0, b"", 0, []]
    for number, priority in enumerate(("high", "normal", "low")):
        stage.submit(invocation(f"c{number}", queue=priority_queue("echo", priority)))
    stage.submit("later", b"", Terms(delay=3600))
    stage.submit(invocation("x", "other"))
    assert stage.run(call(stage.client, ROOM, limit=4)) == [1, b"echo", 4, [b"echo"]]
    assert sorted(stage.run(call(stage.client, ROOM, limit=1))[3]) == [b"echo", b"other"]


def test_calls_over_their_functions_limit_make_a_queue_long_too(stage: QueueStage) -> None:
    for number in range(4):
        stage.submit(f"c{number}")
    (running,) = stage.claim(count=4, limits=lambda queue: '{"limits": {"echo": 1}, "others": true}')
    assert stage.keys("swarmfn:held:*")
    assert stage.run(call(stage.client, ROOM, limit=3)) == [0, b"echo", 3, [b"echo"]]
    stage.finish(running)
