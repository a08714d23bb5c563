"""Calls that wait longer than they may, with a real worker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from swarmfn.jobs.terms import Terms
from swarmfn.wire.policies import RetryPolicy
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def test_one_that_waited_too_long_is_told_to_its_receiver_and_never_run(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with RecordingServer() as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("stale", callback_url=receiver.url), b"x", Terms(max_age=0.001))
        stage.submit(invocation("fresh", callback_url=receiver.url), b"x", Terms(max_age=3600))
        time.sleep(0.01)
        with WorkerProcess(stage.server, tmp_path) as worker:
            assert stage.told("stale", "delivered").state == "expired"
            assert stage.record("stale").started_at == ""
            assert stage.told("fresh", "delivered").state == "succeeded"
            assert "event=expired" in worker.log()
            told = {str(request.header("X-Call-Id")): request for request in receiver.received}
            assert (told["stale"].header("X-Function-Status"), told["stale"].body) == ("408", b"")
            assert told["fresh"].header("X-Function-Status") == "200"
            result = stage.job("stale").latest_result()
            assert result is not None
            assert result.exc_string == "echo was not called: the call had waited longer than its X-Max-Age"
            assert [request.header("X-Call-Id") for request in function.received] == ["fresh"]
            stage.job("stale").requeue()
            wait_until(lambda: stage.record("stale").state == "succeeded")
    assert (stage.ledger.total("expired"), stage.ledger.total("redriven")) == (1, 1)


def test_it_is_not_tried_again_past_its_time_nor_kept_waiting_beyond(stage: QueueStage) -> None:
    policy = RetryPolicy(attempts=10, min_wait=3600, max_wait=3600)
    with RecordingServer(lambda request: (500, [], b"")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", retry=policy), b"x", Terms(max_age=2.0))
        record = stage.final("a")
    assert record.state == "expired"
    assert [attempt["status"] for attempt in record.attempts] == [500]
    assert len(function.received) == 1


def test_a_run_that_has_begun_goes_on(stage: QueueStage) -> None:
    gate = threading.Event()

    def slow(request: Received) -> Answer:
        gate.wait(30)
        return 200, [], b""

    with RecordingServer(slow) as function:
        publish(stage.redis, {"echo": function.address}, exec_timeout=30)
        stage.submit(invocation("a", exec_timeout=30), b"x", Terms(max_age=2.0))
        wait_until(lambda: function.received)
        time.sleep(2.1)
        gate.set()
        assert stage.final("a").state == "succeeded"


def test_a_plain_rq_worker_does_not_run_it_either(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with RecordingServer() as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url), b"x", Terms(max_age=0.001))
        time.sleep(0.01)
        command = [sys.executable, "-m", "rq.cli", "worker", "-b", "-u", stage.server.url, "echo"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        assert stage.record("a").state == "expired"
        assert function.received == []
        assert stage.ledger.total("expired") == 1
        assert stage.record("a").callback_state == "queued"
