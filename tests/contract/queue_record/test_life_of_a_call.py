"""What RQ and we see of a call from its acceptance to its end."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rq.job import JobStatus
from rq.results import Result

from swarmfn.jobs.layout import JOB_DATA
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success


def test_a_submitted_call_is_queued_for_rq_and_for_us(stage: QueueStage) -> None:
    assert stage.submit("a", b"hello")
    assert stage.counts() == {"queued": 1}
    assert stage.queue().job_ids == ["a"]
    job = stage.job("a")
    assert job.get_status() == JobStatus.QUEUED
    assert job.description == "invoke echo"
    assert job.func_name == "swarmfn.jobs.stock.run"
    assert (job.args, job.kwargs) == ((), {})
    assert job.timeout == 35
    record = stage.record("a")
    assert (record.state, record.function, record.queue) == ("queued", "echo", "echo")
    assert not record.is_final


def test_calls_come_in_the_order_they_were_accepted(stage: QueueStage) -> None:
    for number in range(5):
        stage.submit(f"c{number}", b"%d" % number)
    claims = stage.claim(count=3) + stage.claim(count=3)
    assert [claim.job_id for claim in claims] == ["c0", "c1", "c2", "c3", "c4"]
    assert [claim.inline_body for claim in claims] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_call_arrives_as_it_was_submitted(stage: QueueStage) -> None:
    call = invocation(
        "a", method="PUT", path="/x/%20y", query="q=1&q=2", headers=[("X-Two", "1"), ("X-Two", "é")], exec_timeout=0.25
    )
    stage.submit(call, bytes(range(256)))
    claim = stage.claim_one()
    assert claim.work == call
    assert claim.inline_body == bytes(range(256))
    assert claim.next_attempt == 1


def test_a_claimed_call_is_started(stage: QueueStage) -> None:
    stage.submit("a")
    claim = stage.claim_one()
    assert stage.counts() == {"started": 1}
    assert stage.queue().started_job_registry.get_job_ids() == ["a"]
    job = stage.job("a")
    assert job.get_status() == JobStatus.STARTED
    assert job.worker_name == "w1"
    assert job.started_at is not None
    assert stage.record("a").state == "running"
    assert stage.claim() == []
    stage.finish(claim)


def test_a_finished_call_keeps_its_answer_and_drops_its_body(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    assert stage.finish(stage.claim_one(), success(b"the answer"))
    assert stage.counts() == {"finished": 1}
    job = stage.job("a")
    assert job.get_status() == JobStatus.FINISHED
    assert job.return_value() == "echo answered 200"
    result = job.latest_result()
    assert result is not None
    assert result.type == Result.Type.SUCCESSFUL
    record = stage.record("a")
    assert (record.state, record.is_final) == ("succeeded", True)
    assert record.response is not None
    assert (record.response.status, record.response.headers) == (200, [("X-Own", "yes")])
    assert [attempt["status"] for attempt in record.attempts] == [200]
    assert stage.answer("a") == b"the answer"
    assert not stage.redis.hexists("rq:job:a", "body")
    assert stage.nothing_claimed()


def test_a_failed_call_keeps_its_body_and_tells_rq_why(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    stage.finish(stage.claim_one(), failure(b"oops"))
    assert stage.counts() == {"failed": 1}
    job = stage.job("a")
    assert job.get_status() == JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == "echo answered 500"
    assert job.return_value() is None
    assert stage.record("a").state == "failed"
    assert stage.answer("a") == b"oops"
    assert stage.redis.hget("rq:job:a", "body") == b"the body"


def test_nothing_is_kept_longer_than_asked(stage: QueueStage) -> None:
    stage.submit("a", b"x" * 100_000)
    stage.submit("b", b"x" * 100_000)
    stage.finish(stage.claim_one(), success(b"y" * 100_000, ttl=60))
    stage.finish(stage.claim_one(), failure(b"y" * 100_000, ttl=90))
    assert stage.keys("swarmfn:body:*") == {"swarmfn:body:b"}
    kept = ["rq:job:a", "rq:results:a", "swarmfn:response:a", "rq:job:b", "swarmfn:body:b", "swarmfn:response:b"]
    # A record outlives its entry in the registry by an hour, so that a requeue at the last moment loses nothing.
    assert all(60 <= stage.redis.ttl(key) <= 3690 for key in kept)


def test_a_call_put_off_is_scheduled_until_it_is_due(stage: QueueStage) -> None:
    stage.submit("a")
    assert stage.retry_later(stage.claim_one(), postponement(delay=60, failures=1))
    stage.promote()
    assert stage.counts() == {"scheduled": 1}
    assert stage.job("a").get_status() == JobStatus.SCHEDULED
    record = stage.record("a")
    assert (record.state, record.platform_failures) == ("retrying", 1)
    assert record.attempts[0]["problem"] == "it has no healthy replica"
    assert stage.nothing_claimed()


def test_a_call_that_is_due_is_queued_again_and_keeps_its_history(stage: QueueStage) -> None:
    stage.submit("a", b"the body")
    stage.retry_later(stage.claim_one(), postponement(delay=-1, failures=3))
    stage.promote()
    assert stage.counts() == {"queued": 1}
    claim = stage.claim_one()
    assert (claim.failures, len(claim.attempts), claim.inline_body) == (3, 1, b"the body")
    assert claim.next_attempt == 1  # the platform failed, not the function


def test_all_that_is_due_is_queued_however_much_it_is(stage: QueueStage) -> None:
    for number in range(7):
        stage.submit(f"c{number}")
    for claim in stage.claim():
        stage.retry_later(claim, postponement(delay=-1))
    stage.run(stage.worker.promote(limit=3))
    assert stage.counts() == {"queued": 7}


def test_what_is_due_is_queued_in_the_order_in_which_it_was_due(stage: QueueStage) -> None:
    for number in range(7):
        stage.submit(f"c{number}")
    for number, claim in enumerate(stage.claim()):
        stage.retry_later(claim, postponement(delay=-1 - number))
    stage.run(stage.worker.promote(limit=3))
    assert stage.queue().job_ids == [f"c{number}" for number in reversed(range(7))]


def test_a_queue_whose_name_holds_a_colon_works_too(stage: QueueStage) -> None:
    stage.submit(invocation("a", queue="team:high"))
    stage.retry_later(stage.claim_one("team:high"), postponement(delay=-1))
    stage.promote()
    claim = stage.claim_one("team:high")
    assert stage.run(stage.worker.hand_back([claim])) == 1
    assert stage.finish(stage.claim_one("team:high"))
    assert stage.nothing_claimed()


def test_a_call_handed_back_is_first_in_its_queue_and_says_it_was_interrupted(stage: QueueStage) -> None:
    for call_id in ("a", "b", "c"):
        stage.submit(call_id)
    claims = stage.claim(count=2)
    assert stage.run(stage.worker.hand_back(claims)) == 2
    assert stage.queue().job_ids == ["a", "b", "c"]
    record = stage.record("a")
    assert (record.state, record.interruptions, record.platform_failures) == ("queued", 1, 0)
    assert stage.nothing_claimed()


def test_the_callback_is_a_job_of_its_own(stage: QueueStage) -> None:
    stage.submit(invocation("a", callback_url="http://receiver/"))
    completion = success(b"out", delivery=delivery("cb_1", "a"), delivery_body=b"out", delivery_timeout=0.5)
    stage.finish(stage.claim_one(), completion)
    assert stage.record("a").callback_state == "queued"
    assert stage.counts(CALLBACKS) == {"queued": 1}
    assert stage.job("cb_1").description == "callback of a"
    claim = stage.claim_one(CALLBACKS)
    assert claim.work == delivery("cb_1", "a")
    assert claim.inline_body == b"out"
    done = success(counter="delivered:echo", response=None, parent="a", parent_note="delivered, the receiver said 200")
    stage.finish(claim, done)
    assert stage.record("a").callback_state == "delivered, the receiver said 200"
    assert stage.ledger.total("delivered") == 1


def test_a_large_body_is_stored_beside_the_job_and_goes_with_it(stage: QueueStage) -> None:
    body = bytes(range(256)) * 1024
    stage.submit("a", body)
    assert stage.keys("swarmfn:body:*") == {"swarmfn:body:a"}
    assert stage.redis.ttl("swarmfn:body:a") == -1
    assert not stage.redis.hexists("rq:job:a", "body")
    claim = stage.claim_one()
    assert (claim.inline_body, claim.large_size) == (b"", len(body))
    assert stage.run(stage.worker.body(claim)) == body
    big = delivery("cb_1", "a")
    stage.finish(claim, success(body, delivery=big, delivery_body=body))
    assert stage.answer("a") == body
    assert stage.keys("swarmfn:body:*") == {"swarmfn:body:cb_1"}
    assert stage.redis.ttl("swarmfn:body:cb_1") == -1
    told = stage.claim_one(CALLBACKS)
    assert stage.run(stage.worker.body(told)) == body
    stage.finish(told, success(counter="delivered:echo"))
    assert stage.keys("swarmfn:body:*") == set()
    assert stage.keys("swarmfn:upload:*") == set()
    assert not stage.redis.exists("swarmfn:bodies")


def test_data_is_what_rq_unpickles(stage: QueueStage) -> None:
    assert pickle.loads(JOB_DATA) == ("swarmfn.jobs.stock.run", None, (), {})
    stage.submit("a")
    job = stage.job("a")
    job.save()  # as RQ saves it: compressed
    assert stage.redis.hget("rq:job:a", "data") != JOB_DATA
    assert stage.finish(stage.claim_one())


def test_rq_info_counts_what_there_is(stage: QueueStage) -> None:
    for number in range(6):
        stage.submit(f"c{number}")
    stage.finish(stage.claim_one())
    stage.finish(stage.claim_one(), failure())
    stage.claim(count=3)
    rq = Path(sys.executable).with_name("rq")
    shown = subprocess.run([rq, "info", "-u", stage.server.url, "-R"], capture_output=True, text=True, check=True)
    assert re.search(r"^echo +\|.* 1, 3 executing, 1 finished, 1 failed$", shown.stdout, re.MULTILINE), shown.stdout
    assert stage.counts() == {"queued": 1, "started": 3, "finished": 1, "failed": 1}


@pytest.mark.parametrize("answer", [b"", b"\x00\xff" * 100, b"x" * 65536, b"x" * 65537])
def test_an_answer_of_any_size_is_kept_as_it_was(stage: QueueStage, answer: bytes) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success(answer))
    assert stage.answer("a") == answer


def test_the_first_job_of_an_empty_queue_is_announced_and_the_next_are_not(stage: QueueStage) -> None:
    with stage.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("swarmfn:wake")

        def heard() -> list[bytes]:
            stage.redis.publish("swarmfn:wake", "end")
            names = iter(lambda: (pubsub.get_message(timeout=20) or {}).get("data"), b"end")
            return [name for name in names if name is not None]

        stage.submit("a")
        stage.submit("b")
        assert heard() == [b"echo"]
        claims = stage.claim()
        stage.submit("c")
        stage.run(stage.worker.hand_back(claims))
        assert heard() == [b"echo"]
        stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a")))
        assert heard() == [CALLBACKS.encode()]
