"""How one process of a worker begins and ends, as its supervisor sees it."""

from __future__ import annotations

import sys
from pathlib import Path

from swarmfn.wire.invocations import VERSION
from tests.support.processes import ChildProcess
from tests.support.queue_stage import QueueStage
from tests.support.waiting import wait_until
from worker.isolation import NAME_VARIABLE


def a_workers_process(stage: QueueStage, folder: Path, **settings: str) -> ChildProcess:
    """One of those that the supervisor starts."""
    (folder / "redis-password").write_text(stage.server.password)
    own = {"secret_mount_path": str(folder), "faas_redis_address": stage.server.address, NAME_VARIABLE: "w1"}
    return ChildProcess([sys.executable, "-m", "worker"], folder / "log", {**own, **settings})


def test_a_process_of_a_worker_ends_on_newer_data_and_says_why(stage: QueueStage, tmp_path: Path) -> None:
    stage.redis.set("swarmfn:layout", VERSION + 1)
    with a_workers_process(stage, tmp_path) as process:
        assert process.wait() == 1
        assert f"cannot start: this was stored by a newer version of swarmfn (layout {VERSION + 1};" in process.log()
    assert not stage.redis.exists("rq:workers")


def test_a_process_of_a_worker_ends_on_bad_settings_and_names_them(stage: QueueStage, tmp_path: Path) -> None:
    with a_workers_process(stage, tmp_path, lease="soon") as process:
        assert process.wait() == 2
        assert process.log().startswith("cannot start: lease: expected seconds")


def test_a_process_of_a_worker_ends_by_itself_once_told_to(stage: QueueStage, tmp_path: Path) -> None:
    with a_workers_process(stage, tmp_path) as process:
        process.wait_for_log("worker ready")
        wait_until(lambda: stage.redis.smembers("rq:workers") == {b"rq:worker:w1"})
        assert process.terminate() == 0
        assert "worker stopped" in process.log()
    assert not stage.redis.smembers("rq:workers")
