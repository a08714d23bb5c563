"""GET /async-function/CALL-ID and …/result: what can be seen of a call, and what cannot."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from swarmfn.wire.invocations import StoredResponse
from tests.support.hand_worker import Taken, finish, put_off, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Pairs
from tests.support.waiting import wait_until

CALLBACK = "http://receiver.example/hook?token=callback-token"


def submit(stage: InvocationStage, headers: Pairs | None = None, body: bytes = b"the body") -> str:
    stage.redis.flush()
    pairs = [("X-Call-Id", f"call-{uuid.uuid4().hex}"), *(headers or [])]
    answer = stage.call("POST", "/async-function/stage", pairs, body)
    assert answer.status == 202
    return answer.header("X-Call-Id") or ""


def status(stage: InvocationStage, call_id: str) -> dict[str, Any]:
    answer = stage.call("GET", f"/async-function/{call_id}")
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
    return dict(json.loads(answer.body))


def running(stage: InvocationStage) -> Taken:
    taken = take(stage.redis, "stage")
    assert taken is not None
    return taken


def test_a_queued_call_says_so_and_how_many_are_before_it(stage: InvocationStage) -> None:
    first = submit(stage)
    second = stage.call("POST", "/async-function/stage", body=b"x").header("X-Call-Id") or ""
    assert status(stage, first) == {
        "callId": first,
        "function": "stage",
        "queue": "stage",
        "state": "queued",
        "createdAt": status(stage, first)["createdAt"],
        "attempts": [],
        "platformFailures": 0,
        "interruptions": 0,
        "queuePosition": 0,
    }
    assert status(stage, second)["queuePosition"] == 1


def test_a_running_call_says_so(stage: InvocationStage) -> None:
    call_id = submit(stage)
    running(stage)
    document = status(stage, call_id)
    assert document["state"] == "running"
    assert document["startedAt"] >= document["createdAt"]
    assert "queuePosition" not in document


@pytest.mark.parametrize(("code", "state"), [(200, "succeeded"), (204, "succeeded"), (500, "failed")])
def test_a_call_that_has_ended_says_how(stage: InvocationStage, code: int, state: str) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), StoredResponse(code, [], 5), b"12345")
    document = status(stage, call_id)
    assert document["state"] == state
    assert document["endedAt"] >= document["startedAt"]
    assert document["response"] == {"status": code, "size": 5, "truncated": False}
    (attempt,) = document["attempts"]
    assert (attempt["status"], attempt["seconds"], attempt["worker"]) == (code, 0.25, "by-hand")


def test_the_callbacks_state_is_told_and_its_token_is_not(stage: InvocationStage) -> None:
    call_id = submit(stage, [("X-Callback-Url", CALLBACK)])
    assert status(stage, call_id)["callback"] == {
        "url": "http://receiver.example",
        "state": "waiting for the call to end",
    }
    finish(stage.redis, running(stage), StoredResponse(200, [], 0))
    assert status(stage, call_id)["callback"]["state"] == "queued"


def test_credentials_reach_the_worker_and_are_shown_nowhere(stage: InvocationStage) -> None:
    secrets = [
        ("Authorization", "Bearer bearer-token"),
        ("Cookie", "session=cookie-token"),
        ("X-Callback-Url", CALLBACK),
    ]
    call_id = submit(stage, secrets, b"body-token")
    taken = running(stage)
    assert taken.header("Authorization") == "Bearer bearer-token"
    assert taken.header("Cookie") == "session=cookie-token"
    answered = [("Set-Cookie", "session=answer-token"), ("X-Public", "1")]
    seen = [stage.call("GET", f"/async-function/{call_id}")]
    finish(stage.redis, taken, StoredResponse(200, answered, 2), b"ok")
    seen += [stage.call("GET", f"/async-function/{call_id}"), stage.call("GET", f"/async-function/{call_id}/result")]
    for answer in seen:
        shown = f"{answer.headers} {answer.text}"
        for token in ("bearer-token", "cookie-token", "callback-token", "body-token", "answer-token"):
            assert token not in shown
    assert "token" not in stage.gateway.log()
    assert seen[-1].header("X-Public") == "1"


@pytest.mark.parametrize(
    ("kind", "disposition"),
    [("text/html", "attachment"), ("image/svg+xml", "attachment"), ("application/json; charset=utf-8", None)],
)
def test_a_result_cannot_run_as_a_page_of_the_gateway(
    stage: InvocationStage, kind: str, disposition: str | None
) -> None:
    call_id = submit(stage)
    own = [("Content-Type", kind), ("Content-Security-Policy", "img-src x"), ("Cache-Control", "public")]
    finish(stage.redis, running(stage), StoredResponse(200, own, 2), b"ok")
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert answer.all("Content-Security-Policy") == ["img-src x", "sandbox"]
    assert answer.all("X-Content-Type-Options") == ["nosniff"]
    assert answer.all("Cache-Control") == ["no-store"]
    assert answer.header("Content-Disposition") == disposition


@pytest.mark.parametrize("is_running", [False, True])
def test_the_result_of_a_call_that_has_not_ended_is_a_202_to_come_back_to(
    stage: InvocationStage, is_running: bool
) -> None:
    call_id = submit(stage)
    if is_running:
        running(stage)
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert answer.status == 202
    assert int(answer.header("Retry-After") or 0) >= 1


@pytest.mark.parametrize("code", [200, 201, 302, 404, 500])
@pytest.mark.parametrize("size", [0, 20, 300_000])
def test_the_result_is_the_functions_answer_as_it_was(stage: InvocationStage, code: int, size: int) -> None:
    call_id = submit(stage)
    own = [
        ("Content-Type", "image/x-odd"),
        ("X-Many", "1"),
        ("X-Many", "2"),
        ("Location", "/elsewhere?a=%20"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "99999"),
        ("X-Call-Id", "another"),
    ]
    body = (bytes(range(256)) * 1200)[:size]
    finish(stage.redis, running(stage), StoredResponse(code, own, size), body)
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert (answer.status, answer.body) == (code, body)
    assert answer.header("Content-Type") == "image/x-odd"
    assert answer.all("X-Many") == ["1", "2"]
    assert answer.header("Location") == "/elsewhere?a=%20"
    assert answer.header("X-Call-Id") == call_id
    assert answer.header("X-Function-Name") == "stage"
    assert answer.all("X-Hop") + answer.all("X-OpenFaaS-Internal") == []


def test_a_result_without_a_content_type_gets_none(stage: InvocationStage) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), StoredResponse(200, [], 2), b"ok")
    assert stage.call("GET", f"/async-function/{call_id}/result").all("Content-Type") == []


def test_hop_by_hop_names_in_a_stored_answer_do_not_spoil_the_result(stage: InvocationStage) -> None:
    """waitress fails an answer that has one, `Trailers` among them."""
    names = [
        "Trailers",
        "Trailer",
        "TE",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "Transfer-Encoding",
        "Proxy-Connection",
    ]
    names += ["Proxy-Authenticate", "Proxy-Authorization", "Content-Length"]
    call_id = submit(stage)
    own = [*((name, "1") for name in names), ("X-Public", "2")]
    finish(stage.redis, running(stage), StoredResponse(200, own, 2), b"ok")
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert (answer.status, answer.body, answer.header("X-Public")) == (200, b"ok", "2")
    assert answer.all("Trailers") == []


def test_a_cut_result_says_so(stage: InvocationStage) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), StoredResponse(200, [], 1000, is_truncated=True), b"cut")
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert (answer.body, answer.header("X-Result-Truncated")) == (b"cut", "true")


def test_a_call_that_no_function_answered_has_a_503_for_a_result(stage: InvocationStage) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), None)
    answer = stage.call("GET", f"/async-function/{call_id}/result")
    assert answer.status == 503
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    (attempt,) = status(stage, call_id)["attempts"]
    assert (attempt["status"], attempt["problem"]) == (0, "no replica")


def test_head_for_what_is_not_there_answers_without_a_body(stage: InvocationStage) -> None:
    for path in ("/function/none", "/async-function/none/result", "/healthz"):
        with stage.client() as client:
            client.request("HEAD", path)
            assert client.answer("HEAD").status in (200, 404)
            client.request("GET", "/healthz")
            assert client.answer().status == 200, path


def test_head_answers_without_a_body(stage: InvocationStage) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), StoredResponse(200, [], 2), b"ok")
    assert stage.call("HEAD", f"/async-function/{call_id}/result").status == 200
    assert stage.call("HEAD", f"/async-function/{call_id}").status == 200


def test_a_call_keeps_the_policy_its_function_had_and_tells_it(stage: InvocationStage) -> None:
    stage.redis.flush()
    retry = "com.openfaas.retry."
    annotations = {f"{retry}attempts": "3", f"{retry}min_wait": "1.5s", f"{retry}codes": "503"}
    stage.gateway.deploy("retried", annotations=annotations)
    try:
        answer = stage.call("POST", "/async-function/retried", body=b"x")
        call_id = answer.header("X-Call-Id") or ""
        document = status(stage, call_id)
        expected = {"attempts": 3, "codes": [503], "minWait": "1.5s", "maxWait": "2m", "jitter": "exponential"}
        assert document["retry"] == expected
        assert "warnings" not in document
        taken = take(stage.redis, "retried")
        assert taken is not None
        assert taken.call.retry is not None
        assert (taken.call.retry.attempts, taken.call.retry.min_wait) == (3, 1.5)
        put_off(stage.redis, taken, 60)
        document = status(stage, call_id)
        assert document["state"] == "retrying"
        assert document["nextAttemptAt"] > document["createdAt"]
        assert document["attempts"][0]["number"] == 1
    finally:
        stage.gateway.request("DELETE", "/system/functions", json={"functionName": "retried"})


def test_an_annotation_that_cannot_be_used_is_warned_of_in_log_and_every_status(stage: InvocationStage) -> None:
    stage.redis.flush()
    name = "com.openfaas.retry.min_wait"
    stage.gateway.deploy("odd", annotations={name: "soon"})
    try:
        call_id = stage.call("POST", "/async-function/odd").header("X-Call-Id") or ""
        document = status(stage, call_id)
        (warning,) = document["warnings"]
        assert warning.startswith(f"annotation {name}: ")
        assert document["retry"]["minWait"] == "10s"
        wait_until(lambda: "function odd: annotation" in stage.gateway.log(), message="the warning is logged")
        assert stage.gateway.get("/system/function/odd").json()["warnings"] == [warning]
        assert warning.partition(" ")[2].partition(":")[0] in stage.gateway.get("/ui/").text
        assert f"function odd: {warning}" in stage.gateway.get("/system/warnings").json()
    finally:
        stage.gateway.request("DELETE", "/system/functions", json={"functionName": "odd"})


def cancel(stage: InvocationStage, call_id: str) -> int:
    return stage.call("DELETE", f"/async-function/{call_id}").status


def test_a_call_that_has_not_ended_can_be_cancelled_once(stage: InvocationStage) -> None:
    queued = submit(stage)
    answer = stage.call("DELETE", f"/async-function/{queued}")
    assert (answer.status, answer.body) == (202, b"")
    document = status(stage, queued)
    assert document["state"] == "cancelled"
    assert document["endedAt"]
    assert cancel(stage, queued) == 409
    assert stage.call("GET", f"/async-function/{queued}/result").status == 503
    started = submit(stage)
    running(stage)
    assert cancel(stage, started) == 202
    waiting = submit(stage)
    put_off(stage.redis, running(stage), 60)
    assert cancel(stage, waiting) == 202


def test_a_cancelled_calls_callback_is_not_said_to_be_still_to_come(stage: InvocationStage) -> None:
    call_id = submit(stage, [("X-Callback-Url", CALLBACK)])
    assert cancel(stage, call_id) == 202
    assert status(stage, call_id)["callback"]["state"] == "none is sent, because no worker has ended the call"


def test_what_has_ended_or_never_was_cannot_be_cancelled(stage: InvocationStage) -> None:
    call_id = submit(stage)
    finish(stage.redis, running(stage), StoredResponse(200, [], 0))
    answer = stage.call("DELETE", f"/async-function/{call_id}")
    assert (answer.status, answer.header("X-OpenFaaS-Internal")) == (409, "gateway")
    assert "has ended already" in answer.text
    assert status(stage, call_id)["state"] == "succeeded"
    for nobody in (f"call-{uuid.uuid4().hex}", "x" * 65, "cb_1"):
        assert cancel(stage, nobody) == 404
    assert cancel(stage, "stage") == 405, "a function's name"


def test_nobody_is_shown_user_and_password_of_a_callbacks_url(stage: InvocationStage) -> None:
    url = "http://somebody:the-password@receiver.example/hook?x=1"
    call_id = stage.call("POST", "/async-function/stage", [("X-Callback-Url", url)], b"x").header("X-Call-Id") or ""
    shown = stage.call("GET", f"/async-function/{call_id}").text
    assert "http://receiver.example" in shown
    pages = [f"/system/invocations/{call_id}", "/system/invocations", f"/ui/rq/0/data/job/{call_id}.json"]
    told = [stage.gateway.request("GET", page).text for page in pages]
    assert "http://receiver.example/hook?x=1" in told[0]
    assert call_id in told[2]
    for text in (shown, *told, stage.gateway.log()):
        assert "the-password" not in text
        assert "somebody" not in text
