"""GET /async-function/CALL-ID?wait=…: held until the call has ended, and never at others' cost."""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections.abc import Iterator

import pytest

from swarmfn.wire.invocations import StoredResponse
from tests.support.hand_worker import Taken, finish, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import RawClient
from tests.support.waiting import wait_until

MANY = 300


def submit(stage: InvocationStage) -> tuple[str, Taken]:
    stage.redis.flush()
    call_id = stage.call("POST", "/async-function/stage", body=b"x").header("X-Call-Id") or ""
    taken = take(stage.redis, "stage")
    assert taken is not None
    return call_id, taken


@contextlib.contextmanager
def asking(stage: InvocationStage, target: str, count: int = 1) -> Iterator[list[RawClient]]:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stage.client()) for _ in range(count)]
        for client in clients:
            client.request("GET", target)
        yield clients


def is_answered(client: RawClient) -> bool:
    return bool(select.select([client.socket], [], [], 0)[0])


def test_the_answer_comes_when_the_call_ends(stage: InvocationStage) -> None:
    call_id, taken = submit(stage)
    with asking(stage, f"/async-function/{call_id}?wait=50s") as (client,):
        # Asked later and answered at once: the other question is being held.
        assert stage.call("GET", f"/async-function/{call_id}").status == 200
        assert not is_answered(client)
        finish(stage.redis, taken, StoredResponse(200, [], 0))
        answer = client.answer()
    assert json.loads(answer.body)["state"] == "succeeded"


def test_a_result_is_waited_for_too(stage: InvocationStage) -> None:
    call_id, taken = submit(stage)
    with asking(stage, f"/async-function/{call_id}/result?wait=50s") as (client,):
        assert stage.call("GET", f"/async-function/{call_id}/result").status == 202
        finish(stage.redis, taken, StoredResponse(201, [("X-Own", "1")], 3), b"out")
        answer = client.answer()
    assert (answer.status, answer.body, answer.header("X-Own")) == (201, b"out", "1")


def test_a_cancelled_call_is_not_waited_for(stage: InvocationStage) -> None:
    call_id, _ = submit(stage)
    with asking(stage, f"/async-function/{call_id}?wait=50s") as (client,):
        assert stage.call("DELETE", f"/async-function/{call_id}").status == 202
        assert json.loads(client.answer().body)["state"] == "cancelled"


def test_when_the_time_is_up_the_answer_says_how_it_is(stage: InvocationStage) -> None:
    call_id, _ = submit(stage)
    began = time.monotonic()
    answer = stage.call("GET", f"/async-function/{call_id}?wait=1200ms")
    assert time.monotonic() - began >= 1.2
    assert (answer.status, json.loads(answer.body)["state"]) == (200, "running")
    assert stage.call("GET", f"/async-function/{call_id}/result?wait=1ms").status == 202


def test_what_is_final_or_unknown_is_answered_at_once(stage: InvocationStage) -> None:
    call_id, taken = submit(stage)
    finish(stage.redis, taken, StoredResponse(500, [], 0))
    assert json.loads(stage.call("GET", f"/async-function/{call_id}?wait=1h").body)["state"] == "failed"
    assert stage.call("GET", "/async-function/nobody?wait=1h").status == 404
    assert stage.call("GET", f"/async-function/{'x' * 65}?wait=1h").status == 404


@pytest.mark.parametrize("wait", ["soon", "-1s", "", "1%20s"])
def test_a_wait_that_is_no_duration_is_a_400(stage: InvocationStage, wait: str) -> None:
    call_id, _ = submit(stage)
    answer = stage.call("GET", f"/async-function/{call_id}?wait={wait}")
    assert answer.status == 400
    assert "wait" in answer.text


def test_many_who_wait_hold_up_nobody(stage: InvocationStage) -> None:
    call_id, taken = submit(stage)
    with asking(stage, f"/async-function/{call_id}?wait=50s", MANY) as clients:
        # The front end has all of them before it.
        held = MANY if stage.streams_uploads else 8
        wait_until(lambda: sum(map(is_answered, clients)) == MANY - held, message=f"all but {held} are answered")
        assert stage.call("POST", "/function/stage", body=b"x").body == b"x"
        assert stage.call("GET", f"/async-function/{call_id}").status == 200
        assert stage.gateway.get("/system/functions").status_code == 200
        assert sum(map(is_answered, clients)) == MANY - held
        finish(stage.redis, taken, StoredResponse(200, [], 0))
        states = [json.loads(client.answer().body)["state"] for client in clients]
    assert states.count("succeeded") >= held


def test_one_who_leaves_is_not_waited_for(stage: InvocationStage) -> None:
    """On Flask only a few wait at a time: the places of those that have left are free again."""
    call_id, _ = submit(stage)
    for _ in range(3):
        with asking(stage, f"/async-function/{call_id}?wait=50s", 8):
            assert stage.call("GET", f"/async-function/{call_id}").status == 200

    def is_held() -> bool:
        with asking(stage, f"/async-function/{call_id}?wait=50s") as (client,):
            return not select.select([client.socket], [], [], 1.0)[0]

    wait_until(is_held, message="a place is free again")
