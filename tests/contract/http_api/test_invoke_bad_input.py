"""What callers of asynchronous calls send by mistake or on purpose has a clear answer, and nothing of it is a 5xx."""

from __future__ import annotations

import random

import pytest

from swarmfn.wire.invocations import StoredResponse
from tests.support.hand_worker import finish, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer

HEADERS = ("X-Callback-Url", "X-Call-Id", "X-Delay", "X-Run-At", "X-Priority", "X-Max-Age", "Idempotency-Key")
GARBAGE = [
    b"\xff\xfe\x80",
    "ünïcödé ✓".encode(),
    b"\t",
    b",,,;;;",
    b'"',
    b"\\",
    b"%00%0d%0aX-Evil:%201",
    b"${jndi:ldap://x/}",
    b"' OR 1=1 --",
    b"../../etc/passwd",
    b"NaN",
    b"inf",
    b"1e309",
    b"0x10",
    b"-0",
    b"9" * 5000,
    b"{" * 4000,
    b"<script>alert(1)</script>",
]


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def send(stage: InvocationStage, *headers: tuple[str, bytes]) -> Answer:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    with stage.client() as client:
        client.send(b"POST /async-function/stage HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n" + lines + b"\r\nx")
        return client.answer("POST")


@pytest.mark.parametrize("name", HEADERS)
def test_garbage_in_a_header_is_a_400_that_names_it_or_is_taken_as_it_is(stage: InvocationStage, name: str) -> None:
    for value in GARBAGE:
        answer = send(stage, (name, value))
        assert answer.status in (202, 400), (value, answer)
        assert len(answer.text) < 1000
        if answer.status == 400:
            assert name in answer.text, value
            assert answer.header("Content-Type") == "text/plain; charset=utf-8"
            assert answer.header("X-OpenFaaS-Internal") == "gateway"


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [b"a\x00b", b"a\x01b", b"a\x7fb", b"a\rb"])
def test_control_characters_in_a_header_are_a_400(stage: InvocationStage, name: str, value: bytes) -> None:
    assert send(stage, (name, value)).status == 400
    assert take(stage.redis, "stage") is None


def test_random_headers_are_never_an_error_of_the_gateway(stage: InvocationStage) -> None:
    seed = random.randrange(1 << 32)
    print(f"SEED={seed}")
    chance = random.Random(seed)
    letters = [bytes([code]) for code in range(0x20, 0x7F)] + [bytes([code]) for code in range(0x80, 0x100)]
    for _ in range(150):
        names = chance.sample(HEADERS, chance.randint(1, 4))
        headers = [(name, b"".join(chance.choices(letters, k=chance.randint(0, 60)))) for name in names]
        answer = send(stage, *headers)
        assert answer.status in (202, 400), (headers, answer)
        assert len(answer.text) < 1000


ODD_IDS = [
    "no-such-id",
    "cb_",
    "*",
    "a%20b",
    "%2e%2e",
    "..",
    "a;b",
    "rq:job:x",
    "%E2%9C%93",
    "x" * 65,
    "x" * 5000,
    "<b>",
    "%0d%0aX-Evil:1",
]


@pytest.mark.parametrize("call_id", ODD_IDS)
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "/result"), ("GET", "?wait=10s"), ("DELETE", "")])
def test_an_id_that_is_not_on_record_is_a_404_whatever_it_looks_like(
    stage: InvocationStage, method: str, suffix: str, call_id: str
) -> None:
    answer = stage.call(method, f"/async-function/{call_id}{suffix}")
    assert answer.status == 404, answer
    assert len(answer.text) < 500
    assert answer.header("X-Evil") is None
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


def test_a_call_whose_record_has_expired_is_a_404_that_says_why(stage: InvocationStage) -> None:
    call_id = stage.call("POST", "/async-function/stage", body=b"x").header("X-Call-Id") or ""
    taken = take(stage.redis, "stage")
    assert taken is not None
    finish(stage.redis, taken, StoredResponse(200, [], 2), b"ok")
    target = f"/async-function/{call_id}"
    assert stage.call("GET", target).status == 200
    with stage.redis.client() as client:
        assert client.ttl(f"rq:job:{call_id}") > 0
        client.pexpire(f"rq:job:{call_id}", 1)
        client.pexpire(f"rq:results:{call_id}", 1)
        while client.exists(f"rq:job:{call_id}"):
            pass
    for method, suffix in (("GET", ""), ("GET", "/result"), ("GET", "?wait=10s"), ("DELETE", "")):
        answer = stage.call(method, target + suffix)
        assert answer.status == 404
        assert call_id in answer.text
        assert "result_ttl" in answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("suffix", ["", "/result", "?wait=1s"])
def test_asking_after_a_function_as_if_it_were_a_call_is_a_405_that_says_to_post(
    stage: InvocationStage, method: str, suffix: str
) -> None:
    answer = stage.call(method, f"/async-function/stage{suffix}")
    assert (answer.status, answer.header("Allow")) == (405, "POST")
    if method != "HEAD":
        assert answer.text.startswith('"stage" is a function: to call it asynchronously send POST. ')


def test_cancelling_a_function_as_if_it_were_a_call_is_a_405_that_says_so(stage: InvocationStage) -> None:
    answer = stage.call("DELETE", "/async-function/stage")
    assert (answer.status, answer.header("Allow")) == (405, "POST")
    assert "DELETE needs the id of a call" in answer.text


def test_other_methods_for_asynchronous_calls_are_a_405_that_says_to_post(stage: InvocationStage) -> None:
    answer = stage.call("PUT", "/async-function/stage", body=b"x")
    assert answer.status == 405
    assert "POST" in (answer.header("Allow") or "")
    assert answer.text == "PUT is not possible at /async-function/stage. Asynchronous calls are made with POST.\n"


@pytest.mark.parametrize("path", ["/function", "/function/", "/async-function", "/async-function/", "/function//x"])
def test_an_address_without_a_name_is_told_so(stage: InvocationStage, path: str) -> None:
    answer = stage.call("POST", path, body=b"x")
    assert answer.status == 404
    assert answer.text == "the address names no function. List them with GET /system/functions.\n"


@pytest.mark.parametrize("path", ["//function/stage", "///async-function/stage"])
def test_more_slashes_at_the_beginning_are_told_of(stage: InvocationStage, path: str) -> None:
    answer = stage.call("POST", path, body=b"x")
    assert answer.status == 404
    assert answer.text == f"there is nothing at {path}. Write it with one slash: /{path.lstrip('/')}\n"
