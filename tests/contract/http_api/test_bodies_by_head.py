"""Whose body is not wanted is told so by its head, on both front ends: nobody's uploads are kept for nothing."""

from __future__ import annotations

import contextlib
from base64 import b64encode

import pytest

from tests.support.gateway import PASSWORD, USER
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer, Pairs, RawClient, chunked, request_bytes

HUGE = ("Content-Length", str(600 * 1024 * 1024))
CHUNKED = ("Transfer-Encoding", "chunked")
OURS = ("Authorization", "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode())
WRONG = ("Authorization", "Basic " + b64encode(b"admin:wrong").decode())
ALLOWED = 1024 * 1024


def final(client: RawClient) -> Answer:
    """The next answer that is not a mere request to go on."""
    while (answer := client.answer()).status == 100:
        pass
    return answer


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("POST", "/system/functions", [HUGE], 401),
        ("POST", "/system/functions", [CHUNKED], 401),
        ("POST", "/system/functions", [WRONG, HUGE], 401),
        ("POST", "/nowhere", [HUGE], 401),
        ("GET", "/ui/rq/", [HUGE], 401),
        ("POST", "/system/functions", [OURS, HUGE], 413),
        ("POST", "/system/functions", [OURS, HUGE, ("Expect", "100-continue")], 413),
        ("POST", "/system/functions", [OURS, HUGE, ("Origin", "http://elsewhere.test")], 403),
        ("GET", "/system/functions", [OURS, HUGE], 413),
        ("POST", "/nowhere", [OURS, HUGE], 404),
        ("POST", "/nowhere", [OURS, CHUNKED], 404),
        ("PATCH", "/system/info", [OURS, HUGE], 405),
        ("PATCH", "/system/info", [OURS, CHUNKED], 405),
        ("PROPFIND", "/function/stage", [HUGE], 405),
        ("PUT", "/async-function/some-id", [HUGE], 405),
        ("POST", "/healthz", [CHUNKED], 405),
    ],
)
def test_the_head_is_enough_for_a_refusal(
    stage: InvocationStage, method: str, target: str, headers: Pairs, status: int
) -> None:
    with stage.client() as client:
        client.send(request_bytes(method, target, headers))
        answer = final(client)
        assert answer.status == status
        assert answer.header("X-OpenFaaS-Internal") == "gateway"
        assert bool(answer.header("WWW-Authenticate")) == (status == 401)
    assert stage.call("GET", "/function/stage").status == 200


def test_a_chunked_body_of_management_is_refused_where_it_becomes_too_large(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(request_bytes("POST", "/system/functions", [OURS, CHUNKED]))
        block = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(ALLOWED // 65536 + 1):
                client.send(block)
        assert final(client).status == 413


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_management_that_is_just_allowed_is_read(stage: InvocationStage, is_chunked: bool) -> None:
    body = b'{"service": ' + b" " * (ALLOWED - 16) + b'"a",'
    headers: Pairs = [OURS, CHUNKED] if is_chunked else [OURS, ("Content-Length", str(len(body)))]
    with stage.client() as client:
        client.send(request_bytes("POST", "/system/functions", headers) + (chunked(body) if is_chunked else body))
        answer = final(client)
    assert answer.status == 400
    assert "not JSON" in answer.text


def test_a_refusal_reaches_a_client_that_goes_on_sending(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(request_bytes("POST", "/system/functions", [("Content-Length", str(20 * ALLOWED))]))
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                client.send(bytes(ALLOWED))
        assert final(client).status == 401


def test_a_refusal_is_counted_once(stage: InvocationStage) -> None:
    def failures() -> float:
        lines = stage.gateway.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("gateway_failed_logins_total"))

    before = failures()
    with stage.client() as client:
        client.send(request_bytes("POST", "/system/functions", [WRONG], bytes(100_000)))
        assert final(client).status == 401
    assert failures() == before + 1
