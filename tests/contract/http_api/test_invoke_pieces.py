"""Large bodies of asynchronous calls: they go to Redis as they come, and what is not accepted leaves nothing there."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from swarmfn.jobs.terms import short_digest
from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer, Pairs, RawClient, chunked, request_bytes
from tests.support.waiting import wait_until

MIB = 1 << 20
BODY = random.Random(0).randbytes(3 * MIB + 12_345)
TARGET = "/async-function/stage/a%2Fb?x=1"

ways = pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
streaming = pytest.mark.parametrize("data_plane", ["fastlane"], indirect=True, scope="session")
"""waitress has the whole body before any of it goes to Redis."""


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def send(stage: InvocationStage, is_chunked: bool, headers: Pairs | None = None, body: bytes = BODY) -> Answer:
    with stage.client() as client:
        if is_chunked:
            client.send(request_bytes("POST", TARGET, [("Transfer-Encoding", "chunked"), *(headers or [])]))
            client.send(chunked(*(body[start : start + 100_000] for start in range(0, len(body), 100_000))))
        else:
            client.request("POST", TARGET, headers, body)
        return client.answer("POST")


def begin(stage: InvocationStage, size: int, sent: int, headers: Pairs | None = None) -> RawClient:
    """A client that has sent this much of a body of `size` bytes."""
    client = stage.client()
    client.request("POST", TARGET, [("Content-Length", str(size)), *(headers or [])])
    client.send(bytes(sent))
    return client


def uploads(stage: InvocationStage) -> list[bytes]:
    with stage.redis.client() as redis:
        return list(redis.scan_iter("swarmfn:upload:*"))


def wait_for_pieces(stage: InvocationStage) -> None:
    wait_until(lambda: bool(uploads(stage)), message="a piece is in Redis")


def wait_until_nothing_is_left(stage: InvocationStage) -> None:
    wait_until(lambda: not uploads(stage), message="nothing of it is left")
    with stage.redis.client() as redis:
        assert not [*redis.scan_iter("rq:job:*"), *redis.scan_iter("swarmfn:body:*")]


@pytest.fixture
def unfinished(stage: InvocationStage) -> Iterator[RawClient]:
    with begin(stage, 5 * MIB, 3 * MIB) as client:
        wait_for_pieces(stage)
        yield client


@ways
def test_a_body_in_pieces_arrives_unchanged_under_its_documented_key(stage: InvocationStage, is_chunked: bool) -> None:
    call_id = send(stage, is_chunked).header("X-Call-Id")
    with stage.redis.client() as redis:
        assert redis.get(f"swarmfn:body:{call_id}") == BODY
        assert redis.ttl(f"swarmfn:body:{call_id}") == -1
        assert redis.hget(f"rq:job:{call_id}", "large") == str(len(BODY)).encode()
    taken = take(stage.redis, "stage")
    assert taken is not None
    assert (taken.call.call_id, taken.call.path, taken.body) == (call_id, "/a%2Fb", BODY)
    assert uploads(stage) == []


@ways
def test_a_taken_id_is_replaced_and_the_body_is_the_new_calls(stage: InvocationStage, is_chunked: bool) -> None:
    first = stage.call("POST", TARGET, [("X-Call-Id", "mine")], b"first")
    second = send(stage, is_chunked, [("X-Call-Id", "mine")])
    assert (first.status, second.status) == (202, 202)
    taken = [take(stage.redis, "stage") for _ in range(2)]
    assert [one and one.body for one in taken] == [b"first", BODY]
    assert [one and one.call.call_id for one in taken] == ["mine", second.header("X-Call-Id")]
    assert second.header("X-Call-Id") != "mine"
    assert taken[1] is not None
    assert taken[1].header("X-Parent-Call-Id") == "mine"
    assert uploads(stage) == []


@ways
def test_an_idempotency_key_knows_the_body_however_it_was_sent(stage: InvocationStage, is_chunked: bool) -> None:
    key = [("Idempotency-Key", "k")]
    first = send(stage, is_chunked, key)
    with stage.redis.client() as redis:
        (name,) = redis.scan_iter("swarmfn:idempotency:*")
        stored = redis.get(name)
    assert stored == f"{first.header('X-Call-Id')} {short_digest(b'/a%2Fb', b'x=1', BODY)}".encode()
    again = send(stage, not is_chunked, key)
    assert (again.status, again.header("X-Call-Id")) == (202, first.header("X-Call-Id"))
    assert again.header("X-Idempotent-Replay") == "true"
    assert send(stage, is_chunked, key, BODY[:-1] + b"?").status == 422
    assert uploads(stage) == []


@streaming
@pytest.mark.parametrize("is_reset", [False, True])
def test_when_the_client_leaves_nothing_stays(stage: InvocationStage, unfinished: RawClient, is_reset: bool) -> None:
    if is_reset:
        unfinished.reset()
    unfinished.end()
    wait_until_nothing_is_left(stage)


@streaming
def test_a_chunked_body_over_the_limit_is_a_413_and_nothing_stays(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(request_bytes("POST", TARGET, [("Transfer-Encoding", "chunked")]))
        for number in range(21):
            client.send(b"%x\r\n%b\r\n" % (MIB, bytes(MIB)))
            if number == 10:
                wait_for_pieces(stage)
        assert client.answer("POST").status == 413
    wait_until_nothing_is_left(stage)


@pytest.fixture
def narrow(stage: InvocationStage) -> Iterator[str]:
    """The target of a function whose queue takes one call."""
    stage.gateway.deploy("narrow", annotations={"com.openfaas.queue.max_depth": "1"})
    yield "/async-function/narrow"
    stage.gateway.request("DELETE", "/system/functions", json={"functionName": "narrow"})


@streaming
def test_a_full_queue_has_no_byte_of_a_body_asked_for(stage: InvocationStage, narrow: str) -> None:
    assert stage.call("POST", narrow).status == 202
    with stage.client() as client:
        client.request("POST", narrow, [("Content-Length", str(5 * MIB)), ("Expect", "100-continue")])
        assert client.head().status == 429


def test_a_full_queue_answers_for_a_call_that_it_has(stage: InvocationStage, narrow: str) -> None:
    key = [("Idempotency-Key", "k")]
    first, again = (stage.call("POST", narrow, key, BODY) for _ in range(2))
    assert (first.status, again.status) == (202, 202)
    assert again.header("X-Call-Id") == first.header("X-Call-Id")
    assert stage.call("POST", narrow, [("Idempotency-Key", "other")], BODY).status == 429
    assert stage.call("POST", narrow, body=BODY).status == 429
    assert uploads(stage) == []


@streaming
def test_a_body_whose_beginning_redis_has_lost_is_refused(stage: InvocationStage, unfinished: RawClient) -> None:
    stage.redis.flush()
    unfinished.send(bytes(2 * MIB))
    answer = unfinished.answer("POST")
    assert (answer.status, answer.header("Retry-After")) == (503, "1")
    wait_until_nothing_is_left(stage)


@streaming
def test_redis_going_away_in_the_midst_is_a_503(hasty: InvocationStage) -> None:
    try:
        with begin(hasty, 5 * MIB, 3 * MIB) as client:
            wait_for_pieces(hasty)
            hasty.redis.kill()
            client.send(bytes(2 * MIB))
            answer = client.answer("POST")
        assert (answer.status, answer.header("Retry-After")) == (503, "1")
        assert "Redis" in answer.text
    finally:
        hasty.redis.start()
    # Nobody could take it away; it goes by itself.
    with hasty.redis.client() as redis:
        assert all(0 < redis.ttl(key) <= 62 for key in redis.scan_iter("swarmfn:upload:*"))
        assert not [*redis.scan_iter("rq:job:*"), *redis.scan_iter("swarmfn:body:*")]
    wait_until(lambda: send(hasty, is_chunked=False).status == 202, message="large bodies are taken again")
    hasty.redis.flush()
