"""What a plain `rq worker` makes of our calls and deliveries, and what is on record of them then."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from rq import SimpleWorker

from swarmfn.jobs import keys
from swarmfn.jobs.outgoing import delivery_queue
from swarmfn.jobs.terms import Terms
from swarmfn.wire.headers import first
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import RedisServer, text
from tests.support.worker_process import publish

LARGE = b"L" * 100_000


@pytest.fixture
def stage(redis_server: RedisServer) -> Iterator[QueueStage]:
    """One whose books a plain `rq worker` keeps: it counts what it ends, but not what it begins."""
    with QueueStage(redis_server) as stage:
        yield stage


def work(stage: QueueStage, *queues: str) -> None:
    """Until these queues are empty."""
    SimpleWorker(queues or ["echo"], connection=stage.redis).work(burst=True, logging_level="CRITICAL")


def totals(stage: QueueStage) -> dict[str, int]:
    wanted = ("succeeded", "failed", "expired", "delivered", "undelivered", "redriven")
    found = {text(name): int(count) for name, count in stage.redis.hgetall(keys.TOTALS).items()}
    return {name: count for name, count in found.items() if name.startswith(wanted)}


def dead_letters(stage: QueueStage, kind: str) -> list[str]:
    return [text(name) for name in stage.redis.zrange(keys.dead_letters(kind), 0, -1)]


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_a_call_that_succeeds(stage: QueueStage, body: bytes) -> None:
    def answer(request: Received) -> Answer:
        return 201, [("X-Own", "1"), ("X-Own", "2")], request.body

    with RecordingServer(answer) as function:
        publish(stage.redis, {"echo": function.address})
        call = invocation("a", method="PUT", path="/p", query="q=1", headers=[("X-In", "1"), ("X-In", "2")])
        stage.submit(call, body)
        work(stage)
    (request,) = function.received
    assert (request.method, request.path, request.body) == ("PUT", "/p?q=1", body)
    assert (request.header("X-In"), request.header("X-Call-Id")) == ("1, 2", "a")
    record = stage.record("a")
    assert record.response is not None
    assert (record.state, record.response.status, record.response.size) == ("succeeded", 201, len(body))
    assert first(record.response.headers, "x-own") == "1, 2"
    assert first(record.response.headers, "content-length") is None
    assert stage.answer("a") == body
    assert totals(stage) == {"succeeded:echo:echo": 1}
    assert stage.redis.hmget(keys.job("a"), "body", "large") == [None, None]
    assert not stage.redis.exists(keys.request_body("a"))
    assert stage.counts() == {"finished": 1}


@pytest.mark.parametrize(("status", "state"), [(399, "succeeded"), (400, "failed"), (500, "failed")])
def test_a_call_that_the_function_answers_with_an_error(stage: QueueStage, status: int, state: str) -> None:
    with RecordingServer(lambda request: (status, [], b"why")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a", LARGE)
        work(stage)
    record = stage.record("a")
    assert record.response is not None
    assert (record.state, record.response.status, stage.answer("a")) == (state, status, b"why")
    assert totals(stage) == {f"{state}:echo:echo": 1}
    assert dead_letters(stage, "failed:echo:echo") == (["a"] if state == "failed" else [])
    assert stage.counts() == {"failed" if state == "failed" else "finished": 1}
    # What failed can be run again: its body is kept for a week.
    left = stage.redis.ttl(keys.request_body("a"))
    assert left == -2 if state == "succeeded" else 6 * 86400 < left <= 7 * 86400


@pytest.mark.parametrize("addresses", [None, (), "127.0.0.1:9"])
def test_a_call_of_a_function_that_cannot_be_reached(
    stage: QueueStage, addresses: str | tuple[str, ...] | None
) -> None:
    publish(stage.redis, {} if addresses is None else {"echo": addresses})
    stage.submit("a")
    work(stage)
    record = stage.record("a")
    assert (record.state, record.response) == ("failed", None)
    assert dead_letters(stage, "failed:echo:echo") == ["a"]


def test_nothing_published_is_no_replica(stage: QueueStage) -> None:
    stage.submit("a")
    work(stage)
    assert stage.record("a").state == "failed"


def test_a_call_that_takes_longer_than_it_may_is_a_504(stage: QueueStage) -> None:
    def late(request: Received) -> Answer:
        time.sleep(0.5)
        return 200, [], b"late"

    with RecordingServer(late) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=0.2))
        work(stage)
    record = stage.record("a")
    assert record.response is not None
    assert (record.state, record.response.status, stage.answer("a")) == ("failed", 504, b"")


def test_a_call_that_waited_too_long_is_not_made(stage: QueueStage) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("old", b"", Terms(max_age=0.001))
        stage.submit("new", b"", Terms(max_age=60))
        time.sleep(0.005)
        work(stage)
    assert [request.header("X-Call-Id") for request in function.received] == ["new"]
    assert (stage.record("old").state, stage.record("new").state) == ("expired", "succeeded")
    assert totals(stage) == {"expired:echo:echo": 1, "succeeded:echo:echo": 1}
    assert dead_letters(stage, "expired:echo:echo") == ["old"]


def test_a_body_that_is_gone_fails_the_call(stage: QueueStage) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a", LARGE)
        stage.redis.delete(keys.request_body("a"))
        work(stage)
    assert function.received == []
    assert stage.counts() == {"failed": 1}


@pytest.mark.parametrize("answer", [b"small", LARGE])
def test_the_result_is_delivered(stage: QueueStage, answer: bytes) -> None:
    with RecordingServer(lambda request: (200, [], answer)) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        work(stage, "echo", delivery_queue(receiver.url))
    (told,) = receiver.received
    assert (told.method, told.body) == ("POST", answer)
    assert (told.header("X-Call-Id"), told.header("X-Function-Status")) == ("a", "200")
    record = stage.record("a")
    assert record.callback_state == "delivered, the receiver answered 200"
    assert totals(stage) == {"succeeded:echo:echo": 1, "delivered:echo": 1}


@pytest.mark.parametrize(("status", "is_taken"), [(299, True), (300, False), (404, False), (500, False)])
def test_a_receiver_that_does_not_take_it(stage: QueueStage, status: int, is_taken: bool) -> None:
    with RecordingServer() as function, RecordingServer(lambda request: (status, [], b"")) as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        work(stage, "echo", delivery_queue(receiver.url))
    said = f"the receiver answered {status}"
    assert stage.record("a").callback_state == (f"delivered, {said}" if is_taken else f"failed, {said}")
    assert totals(stage) == {"succeeded:echo:echo": 1, "delivered:echo" if is_taken else "undelivered:echo": 1}
    assert len(dead_letters(stage, "undelivered:echo")) == (0 if is_taken else 1)


def test_a_receiver_that_cannot_be_reached(stage: QueueStage) -> None:
    url = "http://127.0.0.1:9/"
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=url))
        work(stage, "echo", delivery_queue(url))
    assert stage.record("a").callback_state == "failed, the receiver could not be reached"


def test_what_failed_and_is_queued_again_begins_anew(stage: QueueStage) -> None:
    statuses = iter([500, 200])
    refusals = iter([500, 200])
    with (
        RecordingServer(lambda request: (next(statuses), [], LARGE)) as function,
        RecordingServer(lambda request: (next(refusals), [], b"")) as receiver,
    ):
        publish(stage.redis, {"echo": function.address})
        stage.submit("a", LARGE)
        work(stage)
        stage.job("a").requeue()
        work(stage)
        assert [request.body for request in function.received] == [LARGE, LARGE]
        assert dead_letters(stage, "failed:echo:echo") == []
        assert stage.record("a").state == "succeeded"
        assert totals(stage) == {"failed:echo:echo": 1, "redriven:echo:echo": 1, "succeeded:echo:echo": 1}

        statuses = iter([200])
        stage.submit(invocation("b", callback_url=receiver.url))
        work(stage, "echo", delivery_queue(receiver.url))
        (undelivered,) = dead_letters(stage, "undelivered:echo")
        stage.job(undelivered).requeue()
        work(stage, delivery_queue(receiver.url))
    assert dead_letters(stage, "undelivered:echo") == []
    assert stage.record("b").callback_state == "delivered, the receiver answered 200"


def test_what_is_none_of_ours_fails(stage: QueueStage) -> None:
    stage.submit("a")
    stage.redis.hset(keys.job("a"), "call", "{")
    work(stage)
    assert stage.counts() == {"failed": 1}
