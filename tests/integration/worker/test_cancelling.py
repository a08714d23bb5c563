"""Calls that are cancelled while a worker has them."""

from __future__ import annotations

import time
from pathlib import Path

from swarmfn.wire.policies import RetryPolicy
from tests.support.http import RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.slow_function import SlowFunction, answer
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def test_a_run_is_stopped_at_once_and_its_room_is_anothers(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    # With a lease this long, its renewal could tell the worker only after minutes.
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, lease="600s") as worker:
        publish(stage.redis, {"echo": function.address}, concurrency=1)
        stage.submit(invocation("a", exec_timeout=300, callback_url="http://127.0.0.1:1/"))
        stage.submit(invocation("b", exec_timeout=300))
        with function.accept() as connection:
            began = time.monotonic()
            assert stage.cancel("a") == "started"
            assert connection.recv(1) == b""  # closed, which stops the run in the watchdog
            print(f"freed after {time.monotonic() - began:.3f} s")
        with function.accept() as connection:
            answer(connection)
            assert stage.final("b").state == "succeeded"
        assert worker.terminate() == 0
    assert stage.record("a").state == "cancelled"
    assert stage.record("a").callback_state == ""
    assert stage.nothing_claimed()


def test_between_two_attempts_there_is_no_further_one(stage: QueueStage) -> None:
    policy = RetryPolicy(attempts=5, min_wait=0.5, max_wait=0.5)
    with RecordingServer(lambda request: (500, [], b"")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", retry=policy))
        wait_until(lambda: stage.record("a").state == "retrying")
        assert stage.cancel("a") == "scheduled"
        stage.submit(invocation("b", retry=RetryPolicy(attempts=2, min_wait=0.6, max_wait=0.6)))
        assert stage.final("b").state == "failed"  # by then a second attempt of the first would have been made
    assert [request.header("X-Call-Id") for request in function.received] == ["a", "b", "b"]
    assert [attempt["status"] for attempt in stage.record("a").attempts] == [500]
