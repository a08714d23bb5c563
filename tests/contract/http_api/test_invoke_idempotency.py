"""Idempotency-Key: the same request twice is one call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.hand_worker import finish, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer, Pairs
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def send(
    stage: InvocationStage, key: str, body: bytes = b"x", target: str = "stage", more: Pairs | None = None
) -> Answer:
    return stage.call("POST", f"/async-function/{target}", [("Idempotency-Key", key), *(more or [])], body)


@pytest.mark.parametrize("size", [0, 1000, 200_000, 2_000_000])
def test_the_same_request_again_is_answered_with_the_first_calls_id(stage: InvocationStage, size: int) -> None:
    body = b"b" * size
    first, second = send(stage, "k1", body), send(stage, "k1", body)
    assert (first.status, first.header("X-Idempotent-Replay")) == (202, None)
    assert (second.status, second.header("X-Idempotent-Replay"), second.body) == (202, "true", b"")
    assert second.header("X-Call-Id") == first.header("X-Call-Id")
    assert second.header("Location") == first.header("Location")
    taken = take(stage.redis, "stage")
    assert taken is not None
    assert (taken.call.call_id, taken.body) == (first.header("X-Call-Id"), body)
    assert take(stage.redis, "stage") is None


@pytest.mark.parametrize("size", [200_000, 3_000_000], ids=["sent whole", "sent in pieces"])
@pytest.mark.parametrize("changed", [False, True], ids=["the same request", "another request"])
def test_a_large_request_that_is_not_stored_again_leaves_no_upload_behind(
    stage: InvocationStage, size: int, changed: bool
) -> None:
    assert send(stage, "k1", b"b" * size).status == 202
    again = send(stage, "k1", (b"c" if changed else b"b") * size)
    assert again.status == (422 if changed else 202)
    with stage.redis.client() as client:
        # In an error's case the upload is dropped after the answer.
        wait_until(lambda: not client.keys("swarmfn:upload:*"), message="no upload is left")
        assert client.scard("swarmfn:bodies") == 1


def test_it_still_is_when_the_call_has_ended_and_was_forgotten(stage: InvocationStage) -> None:
    first = send(stage, "k1").header("X-Call-Id")
    taken = take(stage.redis, "stage")
    assert taken is not None
    finish(stage.redis, taken, None)
    assert send(stage, "k1").header("X-Call-Id") == first
    with stage.redis.client() as client:
        client.delete(f"rq:job:{first}")
    again = send(stage, "k1")
    assert (again.header("X-Call-Id"), again.header("X-Idempotent-Replay")) == (first, "true")


def test_fifty_at_the_same_time_are_one_call(stage: InvocationStage) -> None:
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: send(stage, "k1"), range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.header("X-Call-Id") for answer in answers}) == 1
    assert sum(answer.header("X-Idempotent-Replay") is None for answer in answers) == 1
    assert take(stage.redis, "stage") is not None
    assert take(stage.redis, "stage") is None


@pytest.mark.parametrize(
    ("target", "body"), [("stage", b"y"), ("stage", b""), ("stage/other", b"x"), ("stage?a=1", b"x")]
)
def test_another_request_under_the_key_is_a_422_and_is_not_stored(
    stage: InvocationStage, target: str, body: bytes
) -> None:
    send(stage, "k1")
    answer = send(stage, "k1", body, target)
    assert answer.status == 422
    assert "Idempotency-Key" in answer.text
    assert take(stage.redis, "stage") is not None
    assert take(stage.redis, "stage") is None


def test_a_key_is_one_functions_own(stage: InvocationStage) -> None:
    first, second = send(stage, "k1"), send(stage, "k1", target="pair")
    assert second.header("X-Idempotent-Replay") is None
    assert second.header("X-Call-Id") != first.header("X-Call-Id")
    assert send(stage, "k1", target="stage.openfaas-fn").header("X-Call-Id") == first.header("X-Call-Id")


def test_headers_may_differ_and_a_chosen_id_gives_way(stage: InvocationStage) -> None:
    first = send(stage, "k1", more=[("X-Call-Id", "chosen"), ("X-Trace", "1")])
    second = send(stage, "k1", more=[("X-Call-Id", "chosen-too"), ("X-Trace", "2")])
    assert (first.header("X-Call-Id"), second.header("X-Call-Id")) == ("chosen", "chosen")


def test_a_key_in_quotes_is_the_key_without_them(stage: InvocationStage) -> None:
    first = send(stage, "8e03978e-40d5-43e8")
    assert send(stage, '"8e03978e-40d5-43e8"').header("X-Call-Id") == first.header("X-Call-Id")
    spaced = send(stage, r'"two words \"and\" more"')
    assert (spaced.status, spaced.header("X-Idempotent-Replay")) == (202, None)


def test_the_function_sees_the_key(stage: InvocationStage) -> None:
    send(stage, "k1")
    taken = take(stage.redis, "stage")
    assert taken is not None
    assert taken.header("Idempotency-Key") == "k1"


@pytest.mark.parametrize("key", ["", '""', "two words", '"open', "x" * 256, "tab\tbed", "schlüssel", '"ü"'])
def test_what_is_no_key_is_a_400_that_names_the_header(stage: InvocationStage, key: str) -> None:
    answer = send(stage, key)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.text
    assert len(answer.text) < 500
    assert take(stage.redis, "stage") is None


def test_two_keys_are_a_400(stage: InvocationStage) -> None:
    answer = send(stage, "k1", more=[("Idempotency-Key", "k2")])
    assert answer.status == 400
    assert "Idempotency-Key" in answer.text
