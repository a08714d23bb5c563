"""Answers that together are larger than what a worker may hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish

MIB = 2**20
LARGE = b"x" * (6 * MIB)
CALLS = 40


def answer(request: Received) -> Answer:
    return 200, [], LARGE if request.path == "/large" else b"small"


def high_water(pid: int) -> int:
    """The most memory a process has taken, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_large_answers_wait_for_room_and_others_go_on(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with (
        RecordingServer(answer) as function,
        RecordingServer() as receiver,
        WorkerProcess(stage.server, tmp_path, answer_budget="12Mi", body_budget="12Mi") as worker,
    ):
        publish(stage.redis, {"echo": function.address, "other": function.address}, exec_timeout=60)
        worker.wait_until_ready()
        before = high_water(worker.child())
        for number in range(CALLS):
            url = receiver.url if number < 10 else ""
            call = invocation(f"c{number}", exec_timeout=60, path="/large", callback_url=url)
            stage.submit(call)
            stage.submit(invocation(f"o{number}", "other", exec_timeout=60))
        for number in range(CALLS):
            record = stage.final(f"c{number}", 120)
            assert (record.state, record.platform_failures, record.interruptions) == ("succeeded", 0, 0)
            assert stage.final(f"o{number}").state == "succeeded"
        assert stage.answer("c0") == LARGE
        wait_until(lambda: len(receiver.received) == 10, 60, "all callbacks are delivered")
        assert {len(request.body) for request in receiver.received} == {len(LARGE)}
        # The answers alone are 240 MiB.
        assert high_water(worker.child()) - before < 120 * MIB
        assert worker.terminate() == 0


@pytest.mark.parametrize(("has_callback", "most"), [(False, 30 * MIB), (True, 1000 * MIB)])
def test_no_more_of_an_answer_is_kept_than_anybody_wants(
    bare_stage: QueueStage, tmp_path: Path, has_callback: bool, most: int
) -> None:
    stage = bare_stage
    huge = b"y" * (64 * MIB)
    with (
        RecordingServer(lambda request: (200, [], huge)) as function,
        RecordingServer() as receiver,
        WorkerProcess(stage.server, tmp_path, max_result="100Ki", answer_budget="1Mi", max_response="65Mi") as worker,
    ):
        publish(stage.redis, {"echo": function.address}, exec_timeout=60)
        worker.wait_until_ready()
        before = high_water(worker.child())
        stage.submit(invocation("a", exec_timeout=60, callback_url=receiver.url if has_callback else ""))
        record = stage.final("a", 60)
        assert record.response is not None
        assert (record.response.size, record.response.is_truncated) == (len(huge), True)
        assert stage.answer("a") == huge[: 100 * 1024]
        assert high_water(worker.child()) - before < most
        if has_callback:
            stage.told("a", "delivered", 60)
            assert receiver.received[0].body == huge
        assert worker.terminate() == 0
