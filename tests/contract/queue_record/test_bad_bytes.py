"""Jobs that are not ours, and jobs of ours that somebody damaged: seen to fail, never run, and in nobody's way."""

from __future__ import annotations

import asyncio
import json
import pickle
import zlib
from typing import Any

import pytest
from rq.job import JobStatus

from swarmfn.jobs.consumer import CannotRecord
from swarmfn.jobs.layout import JOB_DATA
from swarmfn.wire.invocations import Foreign, Invocation
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, success

GOOD_CALL = invocation("bad").to_json()


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(GOOD_CALL), **changes}).encode()


BAD: dict[str, dict[str, Any]] = {
    "no data": {"data": None},
    "no status and no data": {"status": None, "data": None},
    "data is garbage": {"data": b"\x80\x04garbage"},
    "data is another pickle": {"data": pickle.dumps(("os.system", None, ("true",), {}))},
    "data is a compressed bomb": {"data": zlib.compress(b"\0" * 10_000_000)},
    "no call": {"call": None},
    "call is not JSON": {"call": b"\xff\xfe{"},
    "call is a list": {"call": b"[1, 2]"},
    "call is deep": {"call": b"[" * 100_000},
    "call has no function": {"call": b'{"v": 1, "m": "POST"}'},
    "function is a number": {"call": _changed(fn=7)},
    "function is an object": {"call": _changed(fn={"a": 1})},
    "headers are not pairs": {"call": _changed(h=["x"])},
    "timeout is not a number": {"call": _changed(t="soon")},
    "timeout is not finite": {"call": GOOD_CALL.replace(b'"t":5.0', b'"t":1e999')},
    "timeout is nan": {"call": GOOD_CALL.replace(b'"t":5.0', b'"t":NaN')},
    "timeout is negative": {"call": _changed(t=-1)},
    "start is huge": {"call": GOOD_CALL.replace(b'"st":', b'"st":1e999,"x":')},
    "failures is not a number": {"failures": b"many"},
    "attempts is not JSON": {"attempts": b"{"},
    "attempts is an object": {"attempts": b'{"a": 1}'},
    "large is not a number": {"large": b"-1"},
}


def _put(stage: QueueStage, call_id: str, changes: dict[str, Any]) -> None:
    """A queued job like one of ours, except for the fields in `changes` (None: the field is missing)."""
    whole = {"data": JOB_DATA, "call": GOOD_CALL, "status": "queued", "origin": "echo", **changes}
    stage.redis.hset(f"rq:job:{call_id}", mapping={name: value for name, value in whole.items() if value is not None})
    stage.redis.rpush("rq:queue:echo", call_id)
    stage.redis.sadd("rq:queues", "rq:queue:echo")


@pytest.mark.parametrize("what", BAD)
def test_a_damaged_job_fails_visibly_and_stops_nothing_else(stage: QueueStage, what: str) -> None:
    stage.submit("before")
    _put(stage, "bad", BAD[what])
    stage.submit("after")
    claims = {claim.job_id: claim for claim in stage.claim()}
    assert set(claims) == {"before", "bad", "after"}
    assert isinstance(claims["before"].work, Invocation)
    assert isinstance(claims["after"].work, Invocation)
    bad = claims["bad"].work
    assert isinstance(bad, Foreign)
    assert stage.finish(claims["bad"], failure(counter="foreign:echo", response=None, note=f"not run: {bad.problem}"))
    job = stage.job("bad")
    assert job.get_status() == JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert result.exc_string is not None
    assert result.exc_string.startswith("not run: its ")
    assert stage.counts() == {"started": 2, "failed": 1}


def test_a_job_key_that_is_no_hash_fails_visibly_and_stops_nothing_else(stage: QueueStage) -> None:
    stage.redis.set("rq:job:bad", "not a hash")
    stage.submit("before")
    stage.redis.rpush("rq:queue:echo", "bad")
    stage.submit("after")
    claims = stage.claim()
    assert [claim.job_id for claim in claims] == ["before", "bad", "after"]
    assert isinstance(claims[1].work, Foreign)
    assert stage.finish(claims[1], failure(counter="foreign:echo", response=None))
    assert stage.job("bad").get_status() == JobStatus.FAILED
    assert stage.redis.get("swarmfn:set-aside:bad") == b"not a hash"


def test_a_damaged_job_queued_again_fails_again(stage: QueueStage) -> None:
    _put(stage, "bad", {"call": b"{"})
    stage.finish(stage.claim_one(), failure(counter="foreign:echo", response=None))
    stage.job("bad").requeue()
    claim = stage.claim_one()
    assert isinstance(claim.work, Foreign)
    assert stage.finish(claim, failure(counter="foreign:echo", response=None))


@pytest.mark.parametrize("job_id", [b"with:colon", b"\xff\xfe", b"a b", b""])
def test_ids_that_rq_refuses_are_counted_and_passed_over(stage: QueueStage, job_id: bytes) -> None:
    stage.redis.hset(b"rq:job:" + job_id, mapping={"data": JOB_DATA, "call": GOOD_CALL, "status": "queued"})
    stage.redis.rpush("rq:queue:echo", job_id)
    stage.submit("after")
    assert [claim.job_id for claim in stage.claim()] == ["after"]
    assert stage.ledger.total("unreadable") == 1


def test_a_queue_key_that_is_no_list_does_not_stop_the_other_queues(stage: QueueStage) -> None:
    stage.submit("a")
    stage.redis.set("rq:queue:broken", "not a list")
    stage.redis.sadd("swarmfn:queues", "broken", b"\xff")
    assert [claim.job_id for claim in stage.claim("broken", "echo")] == ["a"]
    assert stage.run(stage.worker.queues())["echo"] == 0
    stage.tidy()
    stage.redis.srem("swarmfn:queues", "broken", b"\xff")


def test_a_job_whose_end_cannot_be_recorded_does_not_spoil_its_batch(stage: QueueStage) -> None:
    for call_id in ("a", "b", "c"):
        stage.submit(call_id)
    claims = stage.claim()
    stage.redis.set("rq:results:b", "not a stream")

    async def finish_all() -> list[bool | BaseException]:
        steps = [stage.worker.finish(claim, success()) for claim in claims]
        return await asyncio.gather(*steps, return_exceptions=True)

    first, second, third = stage.run(finish_all())
    assert (first, third) == (True, True)
    assert isinstance(second, CannotRecord)
    assert stage.counts() == {"started": 1, "finished": 2}
    stage.lapse()
    assert stage.reap() == 1


def test_a_delivery_is_recorded_though_what_is_there_for_its_call_is_no_job(stage: QueueStage) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a"), delivery_body=b"out"))
    stage.redis.delete("rq:job:a")
    stage.redis.set("rq:job:a", "no job")
    done = success(counter="delivered:echo", parent="a", parent_note="delivered")
    assert stage.finish(stage.claim_one(CALLBACKS), done)
    assert stage.ledger.total("delivered") == 1


def test_a_newer_workers_extra_fields_do_not_disturb(stage: QueueStage) -> None:
    stage.submit("a")
    attempt = {"at": 1.5, "seconds": 0.1, "status": 503, "worker": "w9", "zone": "north"}
    stage.redis.hset("rq:job:a", "attempts", json.dumps([attempt]))
    claim = stage.claim_one()
    assert claim.next_attempt == 2
    assert stage.record("a").attempts[0]["worker"] == "w9"


@pytest.mark.parametrize("field", ["attempts", "response", "failures", "interruptions"])
def test_a_record_with_a_damaged_field_says_what_can_still_be_read(stage: QueueStage, field: str) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one())
    stage.redis.hset("rq:job:a", field, b'\xff{"s"')
    assert stage.record("a").state == "succeeded"


def test_a_damaged_call_is_no_record(stage: QueueStage) -> None:
    for call in (b"", b"[]", b'{"fn": 1}', b'{"fn": "echo", "cb": 7}', b"[" * 100_000):
        stage.redis.hset("rq:job:bad", "call", call)
        assert stage.run(stage.submissions.record("bad")) is None
