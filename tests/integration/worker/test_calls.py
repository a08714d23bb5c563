"""Calls from the queue to the function and back."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

import pytest

from swarmfn.wire.policies import RetryPolicy
from tests.support.http import Answer, Received, RecordingServer
from tests.support.processes import REPOSITORY, ChildProcess, is_running, listening_socket
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def echo(request: Received) -> Answer:
    return 200, [("X-Own", "yes")], request.body


def test_the_function_sees_the_call_as_it_was_made_and_its_answer_is_kept(stage: QueueStage) -> None:
    with RecordingServer(echo) as function:
        publish(stage.redis, {"echo": function.address})
        call = invocation(
            "a",
            method="PATCH",
            path="/x%20y/",
            query="a=1&b",
            headers=[("X-Mine", "é"), ("Cookie", "c")],
            start_time=77,
        )
        stage.submit(call, b"\x00\xffbody")
        record = stage.final("a")
    (seen,) = function.received
    assert (seen.method, seen.path, seen.body) == ("PATCH", "/x%20y/?a=1&b", b"\x00\xffbody")
    assert (seen.header("X-Mine"), seen.header("Cookie")) == ("é", "c")
    assert (seen.header("X-Call-Id"), seen.header("X-Start-Time"), seen.header("X-Attempt")) == ("a", "77", "1")
    assert float(seen.header("X-Deadline") or 0) > 0
    assert seen.header("Host") == function.address
    assert record.state == "succeeded"
    assert record.response is not None
    assert ("X-Own", "yes") in record.response.headers
    assert stage.answer("a") == b"\x00\xffbody"
    assert [attempt["status"] for attempt in record.attempts] == [200]
    assert stage.job("a").return_value() == "echo answered 200"


@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
def test_any_method_is_passed_on(stage: QueueStage, method: str) -> None:
    with RecordingServer(echo) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", method=method))
        assert stage.final("a").state == "succeeded"
    assert function.received[0].method == method


def test_a_large_binary_body_goes_there_and_back_and_to_the_callback(stage: QueueStage) -> None:
    body = os.urandom(10_000_000)
    with RecordingServer(echo) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url), body)
        stage.told("a", "delivered")
    assert function.received[0].body == body
    assert receiver.received[0].body == body
    assert stage.answer("a") == body
    assert stage.keys("swarmfn:body:*") == set()


def test_an_error_is_the_answer_and_is_not_tried_again(stage: QueueStage) -> None:
    with RecordingServer(lambda request: (500, [], b"oops")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a")
        record = stage.final("a")
    assert len(function.received) == 1
    assert record.state == "failed"
    assert stage.answer("a") == b"oops"
    assert stage.counts() == {"failed": 1}


def test_past_exec_timeout_the_answer_is_504_and_the_run_is_stopped(stage: QueueStage, tmp_path: Path) -> None:
    script = tmp_path / "sleepy"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 300\n")
    script.chmod(0o755)
    listener = listening_socket()
    variables = {
        "listen_fd": str(listener.fileno()),
        "mode": "fork",
        "fprocess": str(script),
        "metrics_port": "0",
        "suppress_lock": "true",
    }
    watchdog = ChildProcess(
        [sys.executable, "-m", "fwatchdog"], tmp_path / "log", variables, REPOSITORY, (listener.fileno(),)
    )
    with watchdog, listener:
        publish(stage.redis, {"sleepy": f"127.0.0.1:{listener.getsockname()[1]}"})
        stage.submit(invocation("a", "sleepy", exec_timeout=2.5))
        pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
        record = stage.final("a")
        assert record.response is not None
        assert (record.state, record.response.status) == ("failed", 504)
        # To the millisecond, which is as fine as the loop counts.
        assert round(record.attempts[0]["seconds"], 3) >= 2.5
        wait_until(lambda: not is_running(pid), message="the function's process is gone")


@pytest.mark.parametrize("status", [408, 500])
def test_a_run_that_the_watchdog_has_killed_for_time_is_a_504_too(stage: QueueStage, status: int) -> None:
    with RecordingServer(lambda request: (status, [], b"Killed process.\n")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a")
        record = stage.final("a")
    assert record.response is not None
    assert (record.state, record.response.status, stage.answer("a")) == ("failed", 504, b"")


def test_a_408_of_the_functions_own_stays_one(stage: QueueStage) -> None:
    with RecordingServer(lambda request: (408, [], b"too slow for me")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a")
        record = stage.final("a")
    assert record.response is not None
    assert (record.response.status, stage.answer("a")) == (408, b"too slow for me")


def test_an_answer_above_max_response_ends_the_call_and_the_function_runs_once(
    bare_stage: QueueStage, tmp_path: Path
) -> None:
    stage = bare_stage
    with (
        RecordingServer(lambda request: (200, [], bytes(300_000))) as function,
        WorkerProcess(stage.server, tmp_path, max_response="200Ki", max_result="100Ki", answer_budget="1Mi"),
    ):
        publish(stage.redis, {"echo": function.address})
        call = invocation("a", retry=RetryPolicy(attempts=3, min_wait=0.1), callback_url="http://127.0.0.1:1/")
        stage.submit(call)
        record = stage.final("a", 60)
    assert len(function.received) == 1
    assert (record.state, record.response) == ("failed", None)
    assert record.attempts[0]["problem"] == "its answer has more than 204800 bytes (max_response)"


class Gate:
    """A function whose calls all wait until the gate is open; counts how many were in it at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Answer:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(60)
        with self._lock:
            self.inside -= 1
        return 200, [], b""


def test_many_calls_are_in_flight_at_once(stage: QueueStage) -> None:
    gate = Gate()
    with RecordingServer(gate) as function:
        publish(stage.redis, {"echo": function.address})
        for number in range(150):
            stage.submit(invocation(f"c{number}", exec_timeout=60))
        try:
            wait_until(lambda: gate.inside == 100, message="max_inflight calls are in the function")
            assert stage.counts() == {"queued": 50, "started": 100}
        finally:
            gate.open.set()
        for number in range(150):
            assert stage.final(f"c{number}").state == "succeeded"
    assert gate.most == 100
    assert len(function.received) == 150


def test_a_flood_for_a_slow_function_does_not_delay_another_functions_call(stage: QueueStage) -> None:
    gate = Gate()
    with RecordingServer(gate) as slow, RecordingServer(echo) as fast:
        publish(stage.redis, {"slow": slow.address, "fast": fast.address})
        for number in range(1000):
            stage.submit(invocation(f"s{number}", "slow", exec_timeout=60))
        try:
            wait_until(lambda: gate.inside == 100, message="the slow function is full")
            stage.submit(invocation("f", "fast"))
            assert stage.final("f").state == "succeeded"
            assert gate.inside == 100  # not one of the slow ones has ended for it
            assert stage.counts("slow") == {"queued": 900, "started": 100}
        finally:
            gate.open.set()
        wait_until(lambda: stage.ledger.total("succeeded") == 1001, timeout=60)
    assert len(slow.received) == 1000


def test_replicas_share_the_calls(stage: QueueStage) -> None:
    with RecordingServer(echo) as one, RecordingServer(echo) as two:
        publish(stage.redis, {"echo": (one.address, two.address)})
        for number in range(40):
            stage.submit(f"c{number}")
        wait_until(lambda: stage.ledger.total("succeeded") == 40)
    assert min(len(one.received), len(two.received)) >= 10
    assert len(one.received) + len(two.received) == 40


def test_a_functions_limit_holds_over_all_workers_and_all_its_calls_are_run(stage: QueueStage, tmp_path: Path) -> None:
    gate = Gate()
    with RecordingServer(gate) as function, WorkerProcess(stage.server, tmp_path) as second:
        second.wait_until_ready()
        publish(stage.redis, {"echo": function.address}, concurrency=3)
        for number in range(30):
            stage.submit(invocation(f"c{number}", exec_timeout=60))
        try:
            wait_until(lambda: gate.inside == 3, message="three calls are in the function")
            assert stage.counts() == {"queued": 27, "started": 3}
        finally:
            gate.open.set()
        wait_until(lambda: stage.ledger.total("succeeded") == 30, timeout=60)
        assert second.terminate() == 0
    assert gate.most == 3


def test_a_limited_functions_429_makes_a_call_wait_and_is_no_attempt(stage: QueueStage) -> None:
    count = itertools.count()

    def full_once(request: Received) -> Answer:
        return (429, [], b"") if next(count) < 1 else (200, [], b"")

    with RecordingServer(full_once) as function:
        publish(stage.redis, {"echo": function.address}, concurrency=5)
        stage.submit("a")
        record = stage.final("a")
    assert (record.state, len(record.attempts)) == ("succeeded", 1)
    assert [request.header("X-Attempt") for request in function.received] == ["1", "1"]
