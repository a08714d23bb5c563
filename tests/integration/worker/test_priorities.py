"""Priorities as a real worker serves them."""

from __future__ import annotations

import threading
from pathlib import Path

from swarmfn.wire.priorities import priority_queue
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def ids(function: RecordingServer) -> list[str | None]:
    return [request.header("X-Call-Id") for request in function.received]


def test_a_high_call_overtakes_those_that_wait_and_no_other_function_waits_for_it(
    bare_stage: QueueStage, tmp_path: Path
) -> None:
    stage, gate = bare_stage, threading.Event()

    def slow(request: Received) -> Answer:
        gate.wait(60)
        return 200, [], b""

    with RecordingServer(slow) as echo, RecordingServer() as other:
        publish(stage.redis, {"echo": echo.address, "other": other.address}, exec_timeout=60)
        with WorkerProcess(stage.server, tmp_path, max_inflight="1"):
            for number in range(10):
                stage.submit(invocation(f"n{number}", exec_timeout=60))
            wait_until(lambda: len(echo.received) == 1, message="the only place is taken")
            for number in range(10):
                stage.submit(invocation(f"h{number}", queue=priority_queue("echo", "high"), exec_timeout=60))
            stage.submit(invocation("l", queue=priority_queue("echo", "low"), exec_timeout=60))
            # A low one of another function does not wait for any of them.
            stage.submit(invocation("o", "other", queue=priority_queue("other", "low")))
            assert stage.final("o").state == "succeeded"
            assert len(echo.received) == 1
            gate.set()
            wait_until(lambda: stage.ledger.total("succeeded") == 22)
    highs, normals = [f"h{number}" for number in range(10)], [f"n{number}" for number in range(10)]
    assert ids(echo) == [normals[0], *highs, *normals[1:], "l"]
