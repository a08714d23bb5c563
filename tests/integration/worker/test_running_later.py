"""Calls for later, run by real workers."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from swarmfn.jobs.terms import Terms
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def test_calls_run_when_they_are_due_and_not_before(stage: QueueStage) -> None:
    begun: dict[str, float] = {}

    def note(request: Received) -> Answer:
        begun[str(request.header("X-Call-Id"))] = time.time()
        return 200, [], b""

    with RecordingServer(note) as function:
        publish(stage.redis, {"echo": function.address})
        first = time.time() + 1
        due = {f"c{number}": first + number * 0.05 for number in reversed(range(20))}
        for call_id, moment in due.items():
            stage.submit(invocation(call_id), b"", Terms(run_at=moment))
        for call_id in due:
            assert stage.final(call_id).state == "succeeded"
    assert all(begun[call_id] >= moment - 0.001 for call_id, moment in due.items())
    assert len(function.received) == len(due)


def test_each_runs_once_with_several_workers_and_through_their_restart(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        for number in range(200):
            stage.submit(invocation(f"c{number}"), b"", Terms(delay=0.5 + number * 0.01))
        with WorkerProcess(stage.server, tmp_path, worker_processes="2"):
            wait_until(lambda: len(function.received) >= 20, 60, "some have run")
        with WorkerProcess(stage.server, tmp_path, worker_processes="3"):
            # What was running is run again one at a time, each in a process of its own.
            wait_until(lambda: stage.ledger.total("succeeded") == 200, 180, "all have run")
    runs = Counter(str(request.header("X-Call-Id")) for request in function.received)
    # The first workers were killed: what was running then may run again.
    assert set(runs) == {f"c{number}" for number in range(200)}
    assert max(runs.values()) <= 2


def test_what_was_missed_while_nothing_ran_runs_when_a_worker_is_back(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a"), b"x", Terms(delay=0.05))
        stage.submit(invocation("b"), b"x", Terms(delay=3600))
        time.sleep(0.2)
        stage.server.kill()
        stage.server.start()
        stage.run(stage.client.aclose())
        stage.redis.close()
        assert stage.record("a").state == "scheduled"
        with WorkerProcess(stage.server, tmp_path):
            assert stage.final("a").state == "succeeded"
        assert stage.record("b").state == "scheduled"
