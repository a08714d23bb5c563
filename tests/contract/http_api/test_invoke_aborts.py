"""Callers that leave, by the hundred: nothing of their calls stays behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.contract.http_api.test_invoke_failures import in_flight
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import request_bytes
from tests.support.staged_replica import Exchange
from tests.support.waiting import wait_until

THREADS, ROUNDS = 6, 12


def begin_and_hang(exchange: Exchange) -> None:
    exchange.begin()
    exchange.chunk(b"some" * 300)
    exchange.wait_for_end()


def leave_in_every_way(stage: InvocationStage) -> None:
    whole = request_bytes("POST", "/function/stage", body=b"x")
    upload = request_bytes("POST", "/function/stage", [("Content-Length", "1000000")]) + bytes(100_000)
    for data in (whole, upload, whole[:20], request_bytes("POST", "/async-function/stage", body=bytes(100_000))):
        for is_reset in (False, True):
            with stage.client() as client:
                client.send(data)
                if is_reset:
                    client.reset()
    with stage.client() as client:
        client.send(whole)
        client.head()


def test_hundreds_of_callers_that_leave_cost_no_descriptor_no_count_and_no_line_in_the_log(
    stage: InvocationStage,
) -> None:
    stage.replica.play = begin_and_hang
    leave_in_every_way(stage)
    settled(stage)
    before, known = descriptors(stage), len(stage.gateway.log())

    def leave_often() -> None:
        for _ in range(ROUNDS):
            leave_in_every_way(stage)

    callers = [threading.Thread(target=leave_often) for _ in range(THREADS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    settled(stage)
    # A few connections to Redis and to the management part may have been added, and are kept.
    wait_until(lambda: descriptors(stage) < before + 20, message=f"descriptors: {descriptors(stage)}, not {before}")
    assert stage.gateway.log()[known:] == ""
    stage.replica.play = lambda exchange: exchange.answer(body=b"well")
    assert stage.call("GET", "/function/stage").body == b"well"


def settled(stage: InvocationStage) -> None:
    wait_until(lambda: in_flight(stage, "stage") == 0, message="no call is in flight")


def descriptors(stage: InvocationStage) -> int:
    return len(os.listdir(Path(f"/proc/{stage.gateway.process.pid}/fd")))
