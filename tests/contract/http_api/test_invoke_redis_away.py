"""The invocation routes while Redis is gone, hangs or refuses: no 202 is lost, no other call is harmed."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator

import pytest

from swarmfn.wire.replicas import REPLICAS_KEY, TABLE_TTL
from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer
from tests.support.waiting import wait_until

REDIS_PATIENCE = 4.0
"""A little less than the seconds that one exchange with Redis may take."""


@pytest.fixture(autouse=True)
def _redis_comes_back(hasty: InvocationStage) -> Iterator[None]:
    yield
    if hasty.redis.is_stopped:
        hasty.redis.start()
    hasty.redis.resume()
    wait_until(lambda: hasty.call("POST", "/async-function/cat").status == 202)
    hasty.redis.flush()


def assert_unavailable(answer: Answer) -> None:
    assert answer.status == 503
    assert int(answer.header("Retry-After") or 0) >= 1
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert "Redis" in answer.text


@pytest.mark.parametrize("size", [4, 1_000_000])
def test_without_redis_calls_are_refused_until_it_is_back(hasty: InvocationStage, size: int) -> None:
    kept = hasty.call("POST", "/async-function/stage", body=b"kept").header("X-Call-Id") or ""
    hasty.redis.stop()
    for _ in range(3):
        answer = hasty.call("POST", "/async-function/stage", [("X-Call-Id", "lost")], bytes(size))
        assert_unavailable(answer)
        assert answer.header("X-Call-Id") == "lost"
    hasty.redis.start()
    # At once, and without a restart of the gateway.
    assert hasty.call("POST", "/async-function/stage", [("X-Call-Id", "found")], bytes(size)).status == 202
    assert hasty.call("GET", f"/async-function/{kept}").status == 200
    taken = [take(hasty.redis, "stage") for _ in range(3)]
    assert [one.call.call_id if one else None for one in taken] == [kept, "found", None]


@pytest.mark.parametrize(("method", "what"), [("GET", ""), ("GET", "/result"), ("DELETE", "")])
def test_without_redis_nothing_is_known_of_any_call(hasty: InvocationStage, method: str, what: str) -> None:
    call_id = hasty.call("POST", "/async-function/stage").header("X-Call-Id")
    hasty.redis.stop()
    answer = hasty.call(method, f"/async-function/{call_id}{what}")
    assert_unavailable(answer)
    assert "accepted" not in answer.text


def test_without_redis_synchronous_calls_and_health_are_as_ever(hasty: InvocationStage) -> None:
    hasty.redis.stop()
    assert hasty.call("POST", "/function/stage", body=b"x").body == b"x"
    assert hasty.call("POST", "/function/cat", body=b"x").body == b"x"
    assert hasty.call("GET", "/healthz").status == 200


def test_a_redis_that_hangs_refuses_calls_in_bounded_time_and_harms_no_other(hasty: InvocationStage) -> None:
    call_id = hasty.call("POST", "/async-function/stage").header("X-Call-Id")
    # Flask has a thread for each call; when all of them wait for Redis, other calls wait too.
    count = 700 if hasty.streams_uploads else 10
    hasty.redis.suspend()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(hasty.client()) for _ in range(count)]
        for client in clients:
            client.request("POST", "/async-function/stage", body=b"x" * 1000)
        asking = stack.enter_context(hasty.client())
        asking.request("GET", f"/async-function/{call_id}")
        for _ in range(10):
            assert hasty.call("POST", "/function/stage", body=b"x").status == 200
        answered = sum(bool(select.select([client.socket], [], [], 0)[0]) for client in clients)
        asked = time.monotonic() - began
        for client in (*clients, asking):
            assert_unavailable(client.answer())
        # A busy machine may take as long to send them all as the gateway waits for the first.
        assert answered == 0 or asked > REDIS_PATIENCE, "Redis was not waited for"
        assert time.monotonic() - began > REDIS_PATIENCE
    # The time limit of one exchange with Redis, not of each batch of them.
    assert time.monotonic() - began < 20


def test_a_client_that_leaves_while_redis_hangs_does_not_mix_up_later_replies(hasty: InvocationStage) -> None:
    ids = [hasty.call("POST", "/async-function/stage").header("X-Call-Id") for _ in range(2)]
    hasty.redis.suspend()
    for _ in range(5):
        with hasty.client() as client:
            client.request("GET", f"/async-function/{ids[0]}")
    hasty.redis.resume()
    for call_id in ids * 3:
        assert f'"callId":"{call_id}"' in hasty.call("GET", f"/async-function/{call_id}").text.replace(" ", "")


def test_a_redis_that_is_full_refuses_and_says_why(hasty: InvocationStage) -> None:
    with hasty.redis.client() as client:
        client.config_set("maxmemory", "1")
        try:
            answer = hasty.call("POST", "/async-function/stage", body=b"x")
        finally:
            client.config_set("maxmemory", "0")
    assert_unavailable(answer)
    assert "memory" in answer.text


def test_workers_hear_of_functions_also_while_redis_is_full(hasty: InvocationStage) -> None:
    with hasty.redis.client() as client:
        client.config_set("maxmemory", "1")
        try:
            hasty.gateway.deploy("late")
            wait_until(lambda: b'"late"' in (client.get(REPLICAS_KEY) or b""), message="the table names it")
        finally:
            client.config_set("maxmemory", "0")
            hasty.gateway.request("DELETE", "/system/functions", json={"functionName": "late"})
            wait_until(lambda: "of late exited" in hasty.gateway.log(), message="it is gone")


def test_the_stored_table_does_not_outlive_its_gateway(hasty: InvocationStage) -> None:
    # A Redis that is started with everything else would send calls to addresses that other functions have got since.
    def left() -> int:
        return int(client.pttl(REPLICAS_KEY))

    with hasty.redis.client() as client:
        wait_until(lambda: left() > 0, message="there is a table, and it has an end")
        assert left() <= TABLE_TTL * 1000
        wait_until(lambda: left() < TABLE_TTL * 1000 - 500, message="its end comes nearer")
        before = left()
        wait_until(lambda: left() > before, message="it is stored again while the gateway is there")


def test_an_outage_is_two_lines_in_the_log_and_not_one_for_each_call(hasty: InvocationStage) -> None:
    wait_until(lambda: hasty.gateway.log().count("=redis_unreachable") == hasty.gateway.log().count("=redis_reachable"))
    known = len(hasty.gateway.log())
    hasty.redis.stop()
    for _ in range(50):
        hasty.call("POST", "/async-function/stage")
    wait_until(lambda: "event=redis_unreachable" in hasty.gateway.log()[known:])
    hasty.redis.start()
    wait_until(lambda: "event=redis_reachable" in hasty.gateway.log()[known:])
    lines = hasty.gateway.log()[known:].splitlines()
    assert len(lines) == 2, lines
