"""High before normal before low, within one queue and nowhere else."""

from __future__ import annotations

import json

from swarmfn.jobs.terms import Terms
from swarmfn.wire.priorities import priority_queue
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until


def submit(stage: QueueStage, call_id: str, priority: str, function: str = "echo", terms: Terms | None = None) -> None:
    call = invocation(call_id, function, queue=priority_queue(function, priority))
    assert stage.submit(call, b"", *([terms] if terms else []))


def submit_mixed(stage: QueueStage) -> None:
    for call_id, priority in (("l1", "low"), ("n1", "normal"), ("h1", "high"), ("n2", "normal"), ("h2", "high")):
        submit(stage, call_id, priority)


def test_calls_are_claimed_by_priority_and_then_in_their_order(stage: QueueStage) -> None:
    submit_mixed(stage)
    assert [claim.job_id for claim in stage.claim(count=3)] == ["h1", "h2", "n1"]
    submit(stage, "h3", "high")
    assert [claim.job_id for claim in stage.claim()] == ["h3", "n2", "l1"]
    assert stage.claim() == []


def test_one_at_a_time_too(stage: QueueStage) -> None:
    submit_mixed(stage)
    assert [stage.claim_one().job_id for _ in range(5)] == ["h1", "h2", "n1", "n2", "l1"]


def test_each_priority_is_a_queue_for_rq(stage: QueueStage) -> None:
    submit_mixed(stage)
    assert [stage.queue(name).job_ids for name in ("echo:high", "echo", "echo:low")] == [
        ["h1", "h2"],
        ["n1", "n2"],
        ["l1"],
    ]
    assert {queue.name for queue in stage.queue().all(connection=stage.redis)} == {"echo:high", "echo", "echo:low"}
    assert stage.job("h1").origin == "echo:high"
    for claim in stage.claim():
        stage.finish(claim)
    assert [stage.counts(name) for name in ("echo:high", "echo", "echo:low")] == [
        {"finished": 2},
        {"finished": 2},
        {"finished": 1},
    ]
    assert stage.nothing_claimed()


def test_who_claims_is_told_when_there_may_be_more(stage: QueueStage) -> None:
    submit_mixed(stage)
    assert stage.run(stage.worker.claim([("echo", 3)])).more == ["echo"]
    assert stage.run(stage.worker.claim([("echo", 10)])).more == []


def test_a_limit_counts_all_priorities_together(stage: QueueStage) -> None:
    submit_mixed(stage)

    def limits(queue: str) -> str:
        return json.dumps({"limits": {"echo": 3}, "others": False})

    first = stage.claim(limits=limits)
    assert [claim.job_id for claim in first] == ["h1", "h2", "n1"]
    assert stage.claim(limits=limits) == []
    stage.finish(first[0])
    submit(stage, "h3", "high")
    assert [claim.job_id for claim in stage.claim(limits=limits)] == ["h3"]
    assert stage.queue().job_ids == ["n2"]
    assert stage.queue("echo:low").job_ids == ["l1"]


def test_a_call_keeps_its_priority_when_it_comes_back(stage: QueueStage) -> None:
    submit_mixed(stage)
    handed_back, put_off = stage.claim(count=2)
    stage.run(stage.worker.hand_back([handed_back]))
    stage.retry_later(put_off)
    stage.promote()
    assert [claim.job_id for claim in stage.claim(count=3)] == ["h1", "h2", "n1"]


def test_one_for_later_has_its_priority_when_it_is_due(stage: QueueStage) -> None:
    submit(stage, "later", "high", terms=Terms(delay=0.05))
    submit(stage, "now", "normal")
    wait_until(lambda: stage.promoted("echo:high"))
    assert [claim.job_id for claim in stage.claim()] == ["later", "now"]


def test_one_of_high_priority_can_be_cancelled(stage: QueueStage) -> None:
    submit_mixed(stage)
    assert stage.cancel("h1") == "queued"
    assert stage.counts("echo:high") == {"queued": 1, "canceled": 1}


def test_the_place_of_a_call_counts_those_that_overtake_it(stage: QueueStage) -> None:
    submit_mixed(stage)
    places = {
        name: stage.run(stage.submissions.position(stage.record(name))) for name in ("h1", "h2", "n1", "n2", "l1")
    }
    assert places == {"h1": 0, "h2": 1, "n1": 2, "n2": 3, "l1": 4}


def test_queues_of_callbacks_have_no_priorities(stage: QueueStage) -> None:
    stage.redis.rpush("rq:queue:callbacks:receiver:80:high", "x")
    assert stage.claim("callbacks:receiver:80") == []
    assert stage.redis.llen("rq:queue:callbacks:receiver:80:high") == 1


def test_a_queue_that_is_no_list_does_not_hide_the_others(stage: QueueStage) -> None:
    submit_mixed(stage)
    stage.redis.set("rq:queue:echo:high", "no list")
    assert [claim.job_id for claim in stage.claim()] == ["n1", "n2", "l1"]
    stage.redis.delete("rq:queue:echo:high")
    stage.redis.rpush("rq:queue:echo:high", "h1", "h2")
    assert [claim.job_id for claim in stage.claim()] == ["h1", "h2"]
