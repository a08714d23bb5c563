"""One client's unfinished uploads: it is refused beyond its share, the others go on, and memory stays bounded."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import RawClient
from tests.support.waiting import wait_until

MIB = 1 << 20
BUDGET = 40 * MIB  # of the stage; half of it for one address
NEIGHBOUR = "127.0.0.2"


def unfinished(stage: InvocationStage, size: int, sent: int = 0) -> RawClient:
    """A client that says it will send `size` bytes, and sends no more than `sent`."""
    client = stage.client()
    client.send(b"POST /async-function/cat HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    client.send(bytes(sent))
    return client


def in_use(stage: InvocationStage) -> int:
    lines = stage.gateway.get("/metrics").text.splitlines()
    names = ("gateway_upload_bytes ", "gateway_unfinished_bytes ")
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(names))


def resident(stage: InvocationStage) -> int:
    status = Path(f"/proc/{stage.gateway.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


@pytest.fixture(autouse=True)
def _nothing_left_of_others(stage: InvocationStage) -> None:
    stage.redis.flush()
    # The room of a body may be free again only after its answer.
    wait_until(lambda: in_use(stage) == 0, message="no upload has any room")


def test_uploads_over_the_budget_are_refused_by_their_head_and_others_go_on(stage: InvocationStage) -> None:
    before = resident(stage)
    with contextlib.ExitStack() as attack:
        attack.enter_context(unfinished(stage, 19 * MIB, 18 * MIB))
        for _ in range(10):
            client = attack.enter_context(unfinished(stage, 19 * MIB))
            answer = client.answer("POST")
            assert (answer.status, answer.header("Retry-After")) == (503, "2"), answer.text
            assert "upload_budget" in answer.text
        for method, target, body, expected in (
            ("POST", "/async-function/cat", bytes(MIB), 202),
            ("POST", "/async-function/cat", b"small", 202),
            ("POST", "/function/cat", b"small", 200),
            ("POST", "/function/cat", bytes(MIB), 200),
            ("GET", "/healthz", None, 200),
        ):
            with RawClient(stage.gateway.address, NEIGHBOUR) as neighbour:
                neighbour.request(method, target, body=body)
                assert neighbour.answer(method).status == expected, (method, target)
        assert resident(stage) - before < BUDGET
    wait_until(lambda: in_use(stage) == 0, message="the uploads' room is free again")
    assert stage.call("POST", "/async-function/cat", body=bytes(19 * MIB)).status == 202


def test_a_body_in_chunks_is_refused_when_it_has_no_room_left(stage: InvocationStage) -> None:
    with unfinished(stage, 15 * MIB, 64), stage.client() as client:
        wait_until(lambda: in_use(stage) >= 15 * MIB, message="the first one has its room")
        client.send(b"POST /async-function/cat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + bytes(MIB) + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(7):
                client.send(piece)
        assert client.answer("POST").status == 503
