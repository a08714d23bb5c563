"""/function/NAME: replicas that refuse, break or take too long, and callers that leave."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmfn.upstream import Upstream
from swarmfn.wire.callback_guard import OFF, parse_guard
from tests.support.invocation_stage import FUNCTIONS, InvocationStage
from tests.support.processes import is_running
from tests.support.queue_stage import delivery
from tests.support.raw_http import RawClient, Truncated, request_bytes
from tests.support.staged_replica import Exchange, echo
from tests.support.waiting import wait_until
from worker.decisions import Answer as Outcome
from worker.decisions import Failure
from worker.deliveries import CallbackSender
from worker.signatures import Signer

METRICS = "gateway_function_invocation_inflight"


def in_flight(stage: InvocationStage, name: str) -> float:
    lines = stage.gateway.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f'{METRICS}{{function_name="{name}.'))


def hang(exchange: Exchange) -> None:
    exchange.wait_for_end()


def hang_in_the_middle(exchange: Exchange) -> None:
    exchange.begin()
    exchange.chunk(b"some")
    exchange.wait_for_end()


def test_a_function_scaled_to_nothing_is_a_503_that_says_so(stage: InvocationStage) -> None:
    answer = stage.call("GET", "/function/asleep")
    assert answer.status == 503
    assert int(answer.header("Retry-After") or 0) >= 1
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert "0 replicas" in answer.text


def test_why_a_function_is_broken_is_for_the_log_and_not_for_every_caller(stage: InvocationStage) -> None:
    broken = {"service": "broken", "image": f"dir:{FUNCTIONS / 'broken'}"}
    stage.gateway.request("POST", "/system/functions", json=broken)
    wait_until(lambda: "a_module_that_nobody_has" in stage.gateway.log(), message="the log tells")
    answer = stage.call("GET", "/function/broken", [("X-Call-Id", "mine")])
    assert (answer.status, answer.header("X-Call-Id")) == (503, "mine")
    assert answer.text == 'function "broken" has no healthy replica. Its log and the gateway\'s say why.\n'
    assert "function broken has no healthy replica: " in stage.gateway.log()
    stage.gateway.request("DELETE", "/system/functions", json={"functionName": "broken"})


def test_a_replica_that_refuses_is_passed_over(stage: InvocationStage) -> None:
    first, second = stage.pair
    for refusing in (first, second):
        with refusing.refusing():
            for number in range(6):
                answer = stage.call("POST", "/function/pair", body=b"%d" % number)
                assert (answer.status, answer.body) == (200, b"%d" % number)


def test_a_large_upload_finds_the_replica_that_does_not_refuse(stage: InvocationStage) -> None:
    body = bytes(500_000)
    with stage.pair[0].refusing():
        for _ in range(4):
            assert stage.call("POST", "/function/pair", body=body).body == body


def test_when_all_replicas_refuse_the_answer_is_a_503_to_come_back_to(stage: InvocationStage) -> None:
    with stage.replica.refusing():
        answer = stage.call("POST", "/function/stage", body=b"x")
    assert answer.status == 503
    assert int(answer.header("Retry-After") or 0) >= 1
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert stage.call("POST", "/function/stage", body=b"x").status == 200


def test_calls_are_spread_over_the_replicas(stage: InvocationStage) -> None:
    both_busy = threading.Barrier(2)

    def play(exchange: Exchange) -> None:
        both_busy.wait(20)
        exchange.answer()

    for replica in stage.pair:
        replica.play = play
    # The second call can only end the barrier's wait if it is not given to the replica that is busy.
    callers = [threading.Thread(target=stage.call, args=("GET", "/function/pair")) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not both_busy.broken
    assert [replica.received.qsize() for replica in stage.pair] == [1, 1]


def test_a_busy_replica_is_not_given_another_call_while_one_is_free(stage: InvocationStage) -> None:
    first, second = stage.pair
    release = threading.Event()

    def hold(exchange: Exchange) -> None:
        release.wait(60)
        exchange.answer()

    first.play = second.play = hold
    waiting = threading.Thread(target=stage.call, args=("GET", "/function/pair"))
    waiting.start()
    try:
        wait_until(lambda: first.received.qsize() + second.received.qsize() == 1, message="one replica is busy")
        busy, free = (first, second) if first.received.qsize() else (second, first)
        free.play = echo
        # Turns alone would give every other one of these to the replica that is busy.
        for number in range(4):
            assert stage.call("POST", "/function/pair", body=b"%d" % number).body == b"%d" % number
        assert (busy.received.qsize(), free.received.qsize()) == (1, 4)
    finally:
        release.set()
        waiting.join()


def test_a_call_that_a_replica_may_have_begun_is_not_repeated(stage: InvocationStage) -> None:
    for replica in stage.pair:
        replica.play = lambda exchange: exchange.reset()
    answer = stage.call("POST", "/function/pair", body=b"x")
    assert answer.status == 502
    assert sum(replica.received.qsize() for replica in stage.pair) == 1


def test_a_replica_killed_in_the_middle_of_a_run_is_a_502(stage: InvocationStage) -> None:
    stage.replica.play = lambda exchange: exchange.reset()
    answer = stage.call("POST", "/function/stage", body=b"x")
    assert answer.status == 502
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert 'function "stage"' in answer.text


@pytest.mark.parametrize("play", [hang, hang_in_the_middle])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_the_run_ends_when_its_caller_leaves(
    stage: InvocationStage, play: Callable[[Exchange], None], end: str
) -> None:
    ended = threading.Event()

    def watched(exchange: Exchange) -> None:
        play(exchange)
        ended.set()

    stage.replica.play = watched
    with stage.client() as client:
        client.request("POST", "/function/stage", body=b"x")
        stage.replica.exchange()
        if play is hang_in_the_middle:
            client.head()
        if end == "reset":
            client.reset()
    assert ended.wait(20)
    wait_until(lambda: in_flight(stage, "stage") == 0)


def test_the_run_ends_when_its_caller_leaves_in_the_middle_of_an_upload(stage: InvocationStage) -> None:
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.wait_for_end()
        ended.set()

    stage.replica.play = play
    with stage.client() as client:
        client.send(request_bytes("POST", "/function/stage", [("Content-Length", "1000000")]) + bytes(200_000))
        if stage.streams_uploads:
            stage.replica.exchange()
    if stage.streams_uploads:
        assert ended.wait(20)
    wait_until(lambda: in_flight(stage, "stage") == 0)
    assert stage.call("GET", "/function/cat").status == 200


def test_the_process_group_of_a_real_function_is_gone_when_its_caller_leaves(
    stage: InvocationStage, tmp_path: Path
) -> None:
    noted = tmp_path / "pids"
    with stage.client() as client:
        client.request("POST", "/function/family", body=f"{noted}\n".encode())
        wait_until(lambda: noted.exists() and noted.read_text().endswith("\n"))
        pids = [int(word) for word in noted.read_text().split()]
        assert all(map(is_running, pids))
    wait_until(lambda: not any(map(is_running, pids)), message="the function's processes are gone")


def test_a_function_that_is_too_slow_is_a_504_and_its_run_ends(hasty: InvocationStage) -> None:
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.wait_for_end()
        ended.set()

    hasty.replica.play = play
    began = time.monotonic()
    answer = hasty.call("POST", "/function/stage", body=b"x")
    assert time.monotonic() - began >= 1
    assert answer.status == 504
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert "upstream_timeout" in answer.text
    assert "/async-function/stage" in answer.text
    assert ended.wait(20)
    wait_until(lambda: in_flight(hasty, "stage") == 0)


@pytest.mark.parametrize(
    ("status", "body"), [(408, b"Killed process.\n"), (500, b"Killed process.\n"), (504, b""), (408, b"not in time")]
)
def test_a_watchdog_that_ends_the_run_at_our_own_deadline_is_a_504_too(
    hasty: InvocationStage, status: int, body: bytes
) -> None:
    def play(exchange: Exchange) -> None:
        # Before the gateway's timer, which is a second: whichever is first must not matter.
        time.sleep(0.93)
        exchange.answer(status, body=body)

    hasty.replica.play = play
    answer = hasty.call("POST", "/function/stage", body=b"x")
    assert answer.status == 504
    assert "upstream_timeout" in answer.text


def test_a_callback_to_a_gateway_with_the_same_limit_is_not_answered_in_time(hasty: InvocationStage) -> None:
    hasty.replica.play = hang

    async def scenario() -> list[Outcome | Failure]:
        upstream = Upstream()
        sender = CallbackSender(upstream, {}, 1.0, Signer(lambda: None), parse_guard(OFF, ""))
        url = f"http://127.0.0.1:{hasty.gateway.port}/function/stage"
        offers = [sender.deliver(delivery(f"cb_{number}", "a", url), b"") for number in range(8)]
        try:
            return [dataclasses.replace(result, seconds=0.0) for result in await asyncio.gather(*offers)]
        finally:
            await upstream.close()

    assert asyncio.run(scenario()) == [Failure("the receiver did not answer in time", 0.0, reason="timeout")] * 8


def test_a_run_that_the_watchdog_ends_before_our_deadline_is_as_it_says(hasty: InvocationStage) -> None:
    hasty.replica.play = lambda exchange: exchange.answer(408, body=b"Killed process.\n")
    answer = hasty.call("POST", "/function/stage", body=b"x")
    assert (answer.status, answer.body) == (408, b"Killed process.\n")


def test_the_process_group_of_a_real_function_that_is_too_slow_is_gone(hasty: InvocationStage, tmp_path: Path) -> None:
    noted = tmp_path / "pids"
    assert hasty.call("POST", "/function/family", body=f"{noted}\n".encode()).status == 504
    pids = [int(word) for word in noted.read_text().split()]
    wait_until(lambda: not any(map(is_running, pids)), message="the function's processes are gone")


def test_an_answer_that_takes_too_long_is_cut_off(hasty: InvocationStage) -> None:
    hasty.replica.play = hang_in_the_middle
    with pytest.raises((Truncated, ConnectionError)):
        hasty.call("GET", "/function/stage")
    wait_until(lambda: in_flight(hasty, "stage") == 0)


def test_a_client_that_stops_reading_is_dropped_and_its_run_ends(hasty: InvocationStage) -> None:
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                exchange.send(bytes(1 << 20))
        finally:
            ended.set()

    hasty.replica.play = play
    with hasty.client() as client:
        client.request("GET", "/function/stage")
        client.head()
        assert ended.wait(20)
        # write_timeout is longer than upstream_timeout, which ended the run.
        wait_until(lambda: is_cut(client), message="the client's connection is closed")
    wait_until(lambda: in_flight(hasty, "stage") == 0)
    assert hasty.call("GET", "/function/cat").status == 200


def is_cut(client: RawClient) -> bool:
    """Whether the server has closed a connection from which nobody reads."""
    try:
        client.send(b"\r\n")
    except ConnectionError:
        return True
    return False
