"""A receiver of very many callbacks is down for a while and slow afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from swarmfn.jobs import keys
from tests.support.http import Answer, Received, RecordingServer
from tests.support.processes import free_port
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish

OTHERS = 200


def slow(request: Received) -> Answer:
    time.sleep(0.02)
    return 200, [], b""


@pytest.mark.parametrize(("count", "down"), [(300, 3), pytest.param(10_000, 20, marks=pytest.mark.long)])
def test_all_are_delivered_once_and_nobody_else_waits(
    stage: QueueStage, tmp_path: Path, count: int, down: float
) -> None:
    port = free_port()
    with (
        RecordingServer() as function,
        RecordingServer() as other,
        WorkerProcess(stage.server, tmp_path) as worker,
    ):
        publish(stage.redis, {"echo": function.address, "other": other.address}, exec_timeout=60)
        for number in range(count):
            stage.submit(invocation(f"c{number}", exec_timeout=60, callback_url=f"http://127.0.0.1:{port}/"))
        began = time.monotonic()
        wait_until(lambda: stage.ledger.total("succeeded") == count, 120, "the function has run for all of them")
        _run_others(stage, other)
        time.sleep(max(0.0, down - (time.monotonic() - began)))  # the fault itself
        assert _delivered(stage) == 0
        with RecordingServer(slow, port) as receiver:
            wait_until(lambda: _delivered(stage) == count, 300, "all callbacks are delivered")
            told = [request.header("X-Call-Id") for request in receiver.received]
        assert sorted(map(str, told)) == sorted(f"c{number}" for number in range(count))
        assert len(function.received) == count
        assert worker.terminate() == 0
    stage.ledger.assert_balanced()


def _delivered(stage: QueueStage) -> int:
    return int(stage.redis.hget(keys.TOTALS, "delivered:echo") or 0)


def _run_others(stage: QueueStage, other: RecordingServer) -> None:
    """Another function's calls, with callbacks of their own: all of them end while the receiver is still down."""
    with RecordingServer() as quick:
        for number in range(OTHERS):
            stage.submit(invocation(f"o{number}", "other", callback_url=quick.url))
        wait_until(lambda: len(quick.received) == OTHERS, 60, "the others' callbacks are delivered")
    assert len(other.received) == OTHERS
