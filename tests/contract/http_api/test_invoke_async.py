"""POST /async-function/NAME: what is accepted, what is refused, and what is stored."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid

import pytest

from tests.support.hand_worker import Taken, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Pairs, chunked, request_bytes
from tests.support.waiting import wait_until

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
LIMIT = 20 * 1024 * 1024  # async_max_body of the stage


def claim(stage: InvocationStage, queue: str = "stage") -> Taken | None:
    """The next call of a queue as a worker gets it, if there is one."""
    return take(stage.redis, queue)


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def test_a_call_is_accepted_with_an_empty_202_that_says_where_to_look(stage: InvocationStage) -> None:
    before = time.time_ns()
    answer = stage.call("POST", "/async-function/stage", body=b"later")
    assert (answer.status, answer.body, answer.header("Content-Length")) == (202, b"", "0")
    call_id = answer.header("X-Call-Id") or ""
    assert re.fullmatch(UUID4, call_id)
    assert answer.header("Location") == f"/async-function/{call_id}"
    assert before <= int(answer.header("X-Start-Time") or 0) <= time.time_ns()
    assert stage.replica.received.empty()
    claimed = claim(stage)
    assert claimed is not None
    assert (claimed.call.call_id, claimed.body) == (call_id, b"later")
    assert claimed.call.start_time == int(answer.header("X-Start-Time") or 0)


def test_the_request_is_stored_as_it_was_sent(stage: InvocationStage) -> None:
    sent = [
        ("Authorization", "Bearer abc"),
        ("Cookie", "session=1"),
        ("Content-Type", "text/x-thing"),
        ("X-Topic", "things"),
        ("Connection", "X-Secret"),
        ("X-Secret", "1"),
        ("TE", "trailers"),
        ("X-Callback-Url", "http://gateway:8080/function/notify?a=1"),
    ]
    target = "/async-function/stage.openfaas-fn/a%2Fb//c?x=%20&y"
    assert stage.call("POST", target, sent, b"body").status == 202
    claimed = claim(stage)
    assert claimed is not None
    call = claimed.call
    assert (call.function, call.invoked_as, call.method) == ("stage", "stage.openfaas-fn", "POST")
    assert (call.path, call.query) == ("/a%2Fb//c", "x=%20&y")
    assert call.callback_url == "http://gateway:8080/function/notify?a=1"
    for name, value in sent[:4]:
        assert claimed.header(name) == value
    for name, _ in sent[4:]:
        assert claimed.header(name) is None, name
    assert claimed.header("X-Forwarded-For") == "127.0.0.1"


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 5_000_000, LIMIT])
def test_a_body_reaches_the_worker_byte_for_byte(stage: InvocationStage, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert stage.call("POST", "/async-function/stage", body=body).status == 202
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.body == body


def test_a_chunked_body_reaches_the_worker_whole(stage: InvocationStage) -> None:
    pieces = [b"a" * 100_000, b"b", b"c" * 100_000]
    with stage.client() as client:
        client.send(
            request_bytes("POST", "/async-function/stage", [("Transfer-Encoding", "chunked")]) + chunked(*pieces)
        )
        assert client.answer().status == 202
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.body == b"".join(pieces)


@pytest.mark.parametrize("name", ["missing", "missing.openfaas-fn", "", ".openfaas-fn", "stage.other", "%2e%2e"])
def test_an_unknown_function_is_a_404_and_nothing_is_stored(stage: InvocationStage, name: str) -> None:
    answer = stage.call("POST", f"/async-function/{name}", [("X-Call-Id", "for-nobody")], b"x")
    assert answer.status == 404
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert answer.header("X-Call-Id") == "for-nobody"
    assert _keys(stage) == []


def test_a_function_without_replicas_is_accepted_for(stage: InvocationStage) -> None:
    assert stage.call("POST", "/async-function/asleep", body=b"x").status == 202
    assert claim(stage, "asleep") is not None


@pytest.mark.parametrize(
    "url",
    [
        "notify",
        "/function/notify",
        "//gateway:8080/function/notify",
        "http:",
        "http://",
        "http:///path",
        "http:/gateway/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://user:password@gateway:8080/",
        "http://user@gateway:8080/",
        "http://@gateway:8080/",
        "http://gateway:99999/",
        "http://gateway:0/",
        "http://gateway:port/",
        "http://gateway :8080/",
        "http://gateway:8080/a b",
        "http://gateway:8080/a\tb",
        "http://[::1/",
        "http://gäteway/",
        "http://gateway/ü",
        "http://gateway/" + "x" * 9000,
    ],
)
def test_a_callback_that_cannot_be_called_is_a_400_that_names_the_header(stage: InvocationStage, url: str) -> None:
    answer = stage.call("POST", "/async-function/stage", [("X-Callback-Url", url)], b"x")
    assert answer.status == 400
    assert "X-Callback-Url" in answer.text
    assert len(answer.text) < 1000
    assert _keys(stage) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway:8080/function/notify",
        "HTTPS://example.com",
        "http://127.0.0.1:1/x?a=b&c=%0d%0a#f",
        "http://[::1]:8080/",
        "http://gateway.openfaas-fn:8080/async-function/next",
    ],
)
def test_any_other_callback_is_accepted(stage: InvocationStage, url: str) -> None:
    assert stage.call("POST", "/async-function/stage", [("X-Callback-Url", url)], b"x").status == 202
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.call.callback_url == url


def test_a_line_break_cannot_be_put_into_a_callback(stage: InvocationStage) -> None:
    with stage.client() as client:
        head = (
            b"POST /async-function/stage HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Callback-Url: http://a/\rX-B: 1"
        )
        client.send(head + b"\r\n\r\n")
        assert client.answer().status == 400
    assert _keys(stage) == []


def test_a_callback_cannot_come_in_as_a_trailer(stage: InvocationStage) -> None:
    with stage.client() as client:
        head = request_bytes("POST", "/async-function/stage", [("Transfer-Encoding", "chunked")])
        client.send(head + b"1\r\nx\r\n0\r\nX-Callback-Url: ftp://unchecked/\r\n\r\n")
        assert client.answer().status == 202
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.call.callback_url == ""


def test_a_body_over_the_limit_is_a_413_that_names_the_limit(stage: InvocationStage) -> None:
    answer = stage.call("POST", "/async-function/stage", body=bytes(LIMIT + 1))
    assert answer.status == 413
    assert str(LIMIT) in answer.text
    assert "async_max_body" in answer.text
    assert _keys(stage) == []


def test_a_chunked_body_over_the_limit_is_a_413_too(stage: InvocationStage) -> None:
    with stage.client() as client:
        head = request_bytes("POST", "/async-function/stage", [("Transfer-Encoding", "chunked")])
        client.send(head + chunked(*[bytes(1 << 20)] * 21))
        assert client.answer().status == 413
    wait_until(lambda: _keys(stage) == [])  # what had come of it is deleted beside the answer


def test_an_id_of_the_clients_own_is_the_jobs(stage: InvocationStage) -> None:
    call_id = f"mine_{uuid.uuid4().hex}"
    answer = stage.call("POST", "/async-function/stage", [("X-Call-Id", call_id)], b"x")
    assert (answer.status, answer.header("X-Call-Id")) == (202, call_id)
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.call.call_id == call_id
    assert claimed.header("X-Parent-Call-Id") is None


@pytest.mark.parametrize("size", [1, 200_000])
def test_an_id_on_record_is_not_used_again_and_becomes_the_parents(stage: InvocationStage, size: int) -> None:
    bodies = [b"1" * size, b"2" * size, b"3" * size]
    answers = [stage.call("POST", "/async-function/stage", [("X-Call-Id", "twice")], body) for body in bodies]
    assert [answer.status for answer in answers] == [202, 202, 202]
    ids = [answer.header("X-Call-Id") for answer in answers]
    assert ids[0] == "twice"
    assert len(set(ids)) == 3
    for number, body in enumerate(bodies):
        claimed = claim(stage)
        assert claimed is not None
        assert (claimed.call.call_id, claimed.body) == (ids[number], body)
        assert claimed.header("X-Parent-Call-Id") == ("twice" if number else None)
    assert not [key for key in _keys(stage) if b"upload" in key]


def test_an_id_is_not_used_again_while_the_call_runs(stage: InvocationStage) -> None:
    stage.call("POST", "/async-function/stage", [("X-Call-Id", "running")], b"1")
    assert claim(stage) is not None
    assert (
        stage.call("POST", "/async-function/stage", [("X-Call-Id", "running")], b"2").header("X-Call-Id") != "running"
    )


@pytest.mark.parametrize("chosen", ["cb_0123", "a b", "x" * 65, "a/b", "a,b"])
def test_an_id_that_cannot_be_one_is_replaced_and_becomes_the_parents(stage: InvocationStage, chosen: str) -> None:
    headers: Pairs = [("X-Call-Id", chosen), ("X-Parent-Call-Id", "an older one")]
    answer = stage.call("POST", "/async-function/stage", headers, b"x")
    assert re.fullmatch(UUID4, answer.header("X-Call-Id") or "")
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.call.call_id == answer.header("X-Call-Id")
    assert claimed.header("X-Parent-Call-Id") == chosen


def test_a_parent_that_the_client_names_travels_on(stage: InvocationStage) -> None:
    stage.call("POST", "/async-function/stage", [("X-Parent-Call-Id", "the-first")], b"x")
    claimed = claim(stage)
    assert claimed is not None
    assert claimed.header("X-Parent-Call-Id") == "the-first"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/async-function/stage", 405),
        ("GET", "/async-function/no-such-id", 404),
        ("GET", "/async-function/no-such-id/result", 404),
        ("GET", "/async-function/" + "x" * 300, 404),
        ("PUT", "/async-function/stage", 405),
        ("PATCH", "/async-function/stage/sub", 405),
        ("DELETE", "/async-function/stage", 405),
        ("DELETE", "/async-function/no-such-id", 404),
        ("DELETE", "/async-function/stage/sub", 405),
    ],
)
def test_what_else_can_be_asked_of_the_route_has_an_answer_that_says_so(
    stage: InvocationStage, method: str, target: str, status: int
) -> None:
    answer = stage.call(method, target)
    assert answer.status == status
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    if status == 405:
        assert "POST" in (answer.header("Allow") or "")


def _keys(stage: InvocationStage) -> list[bytes]:
    """What is in Redis, except the replica table."""
    with stage.redis.client() as client:
        return [key for key in client.scan_iter() if key != b"swarmfn:replicas"]


def test_nobody_is_refused_because_redis_hesitates(stage: InvocationStage) -> None:
    """A fork or a slow command of somebody else's: many more calls than there are connections to Redis only wait."""
    many = 150 if stage.streams_uploads else 20
    call_id = stage.call("POST", "/async-function/stage").header("X-Call-Id")
    with contextlib.ExitStack() as stack:
        asking, sending = ([stack.enter_context(stage.client()) for _ in range(many)] for _ in range(2))
        stage.redis.suspend()
        threading.Timer(0.6, stage.redis.resume).start()
        for client in asking:
            client.request("GET", f"/async-function/{call_id}")
        for client in sending:
            client.request("POST", "/async-function/stage", body=bytes(100_000))
        assert {client.answer().status for client in asking} == {200}
        assert {client.answer("POST").status for client in sending} == {202}
