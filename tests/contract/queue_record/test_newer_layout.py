"""What a newer version has stored is neither run nor changed by this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.typing import EncodableT, FieldT

from swarmfn.jobs import stored_layout
from swarmfn.jobs.layout import JOB_DATA
from swarmfn.wire.errors import NewerLayout
from swarmfn.wire.invocations import VERSION, Delivery, Invocation, Newer
from tests.support.queue_stage import QueueStage, delivery, invocation, postponement

SENTENCE = f"this was stored by a newer version of swarmfn (layout {VERSION + 1}; this one reads up to {VERSION})."
OF_CALLS = json.loads(invocation("new").to_json())
OF_DELIVERIES = json.loads(delivery("cb_new", "a").to_json())


def _put(stage: QueueStage, document: dict[str, Any]) -> dict[bytes | str, bytes | str]:
    newer = {**document, "v": VERSION + 1}
    fields: dict[FieldT, EncodableT] = {
        "data": JOB_DATA,
        "call": json.dumps(newer),
        "status": "queued",
        "origin": "echo",
        "attempts": "newer",
        "failures": "many",
        "created_at": "2026-01-31T12:00:00.000000Z",
    }
    stage.redis.hset("rq:job:new", mapping=fields)
    stage.redis.rpush("rq:queue:echo", "new")
    stage.redis.sadd("swarmfn:queues", "echo")
    return stage.redis.hgetall("rq:job:new")


@pytest.fixture(autouse=True)
def unaccepted(stage: QueueStage) -> Iterator[None]:
    """What a newer version stored was never accepted here, so the books would not balance with it."""
    yield
    stage.redis.flushall()


@pytest.mark.parametrize("document", [OF_CALLS, OF_DELIVERIES], ids=["call", "delivery"])
def test_a_newer_job_is_put_off_as_it_is(stage: QueueStage, document: dict[str, Any]) -> None:
    before = _put(stage, document)
    claim = stage.claim_one()
    assert claim.work == Newer(SENTENCE)
    assert stage.retry_later(claim, postponement(30.0, attempts=None))
    after = stage.redis.hgetall("rq:job:new")
    assert after[b"status"] == b"scheduled"
    assert {name: after[name] for name in (b"call", b"attempts", b"failures", b"data")} == {
        name: before[name] for name in (b"call", b"attempts", b"failures", b"data")
    }


def test_its_status_is_refused_with_a_sentence(stage: QueueStage) -> None:
    _put(stage, OF_CALLS)
    with pytest.raises(NewerLayout) as refusal:
        stage.record("new")
    assert refusal.value.message == SENTENCE
    assert refusal.value.status == 503


def test_a_program_notes_its_layout_and_refuses_a_newer_one(stage: QueueStage) -> None:
    stored_layout.require_readable(stage.redis)
    assert stage.redis.get("swarmfn:layout") == str(VERSION).encode()
    stored_layout.require_readable(stage.redis)
    stage.redis.set("swarmfn:layout", VERSION + 1)
    with pytest.raises(NewerLayout, match=f"layout {VERSION + 1}"):
        stored_layout.require_readable(stage.redis)
    assert stage.redis.get("swarmfn:layout") == str(VERSION + 1).encode()


@pytest.mark.parametrize("number", ["", "x", "-3", "0"])
def test_what_is_no_version_is_replaced(stage: QueueStage, number: str) -> None:
    stage.redis.set("swarmfn:layout", number)
    stored_layout.require_readable(stage.redis)
    assert stage.redis.get("swarmfn:layout") == str(VERSION).encode()


def test_a_redis_without_room_is_read_all_the_same(stage: QueueStage) -> None:
    stage.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            stage.redis.set("x", 1)
        stored_layout.require_readable(stage.redis)
    finally:
        stage.redis.config_set("maxmemory", 0)


def test_a_trace_context_is_kept(stage: QueueStage) -> None:
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    stage.submit(invocation("a", trace=context))
    work = stage.claim_one().work
    assert isinstance(work, Invocation)
    assert work.trace == context
    report = Delivery("cb_1", "a", "echo", "http://receiver/", [], context)
    assert Delivery.from_json("cb_1", json.loads(report.to_json())) == report
