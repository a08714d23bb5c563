"""Large results and readers who take nothing: each holds a piece, and everybody else goes on."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

import pytest

from swarmfn.wire.invocations import StoredResponse
from tests.support.hand_worker import finish, take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import RawClient, Truncated
from tests.support.waiting import wait_until

SIZE = 8_000_000
READERS = 20


def resident(stage: InvocationStage) -> int:
    status = Path(f"/proc/{stage.gateway.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def large_result(stage: InvocationStage) -> tuple[str, bytes]:
    """The path of one, and its body."""
    stage.redis.flush()
    call_id = stage.call("POST", "/async-function/stage").header("X-Call-Id")
    taken = take(stage.redis, "stage")
    assert taken is not None
    body = b"".join(b"%08d" % number for number in range(SIZE // 8))
    finish(stage.redis, taken, StoredResponse(200, [], SIZE), body)
    return f"/async-function/{call_id}/result", body


def slow_reader(stage: InvocationStage, path: str) -> RawClient:
    client = stage.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.request("GET", path)
    return client


def test_slow_readers_hold_a_piece_each_and_others_go_on(stage: InvocationStage) -> None:
    path, body = large_result(stage)
    before = resident(stage)
    with contextlib.ExitStack() as attack:
        readers = [attack.enter_context(slow_reader(stage, path)) for _ in range(READERS)]
        heads = [reader.head() for reader in readers]
        # Flask has threads for 16; the others are told.
        served = READERS if stage.streams_uploads else 16
        assert [head.status for head in heads].count(200) == served
        assert {head.header("Retry-After") for head in heads if head.status != 200} <= {"1"}
        for target, expected in (
            ("/function/cat", 200),
            ("/healthz", 200),
            (path.removesuffix("/result"), 200),
        ):
            assert stage.call("GET", target).status == expected, target
        assert resident(stage) - before < served * 2 * 1024 * 1024
        reader, head = next(pair for pair in zip(readers, heads, strict=True) if pair[1].status == 200)
        assert b"".join(reader.pieces(head)) == body
    wait_until(lambda: stage.call("GET", path).body == body, message="there is room for other readers")


def test_a_result_that_goes_away_while_it_is_read_is_cut_off(stage: InvocationStage) -> None:
    path, _ = large_result(stage)
    call_id = path.split("/")[2]
    with slow_reader(stage, path) as reader:
        head = reader.head()
        with stage.redis.client() as redis:
            redis.delete(f"swarmfn:response:{call_id}")
        with pytest.raises((Truncated, ConnectionError)):
            list(reader.pieces(head))
    assert stage.call("GET", path).status == 404
    wait_until(lambda: re.search("a result broke off in the middle", stage.gateway.log()), message="it is logged")
