"""Redis dies, hangs or goes away while many calls are on their way."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from swarmfn.wire.errors import QueueUnavailable
from tests.support.load import Load
from tests.support.queue_stage import QueueStage, invocation
from tests.support.slow_function import SlowFunction, answer
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def worker(stage: QueueStage, directory: Path, **settings: str) -> WorkerProcess:
    directory.mkdir(exist_ok=True)
    return WorkerProcess(stage.server, directory, **{"max_inflight": "20", "lease": "3s", **settings})


def test_what_redis_has_acknowledged_survives_its_death(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with worker(stage, tmp_path / "w") as running, Load(stage, count, seed) as load:
        for number in range(2):
            load.wait_for_starts((number + chance.random()) / 3)
            stage.server.kill()
            stage.server.start()
        load.assert_all_succeed()
        # What was claimed by a request whose reply was lost runs once, later. Nothing that ran runs again.
        assert load.repeated() == {}
        assert running.terminate() == 0


def test_two_workers_live_through_a_redis_that_hangs_longer_than_every_lease(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with (
        worker(stage, tmp_path / "w1") as one,
        worker(stage, tmp_path / "w2") as two,
        Load(stage, count, seed, longest=0.1) as load,
    ):
        load.wait_for_starts(chance.uniform(0.1, 0.6))
        stage.server.suspend()
        time.sleep(6)  # the fault itself: longer than lease and time limit of a command
        stage.server.resume()
        load.assert_all_succeed()
        assert load.repeated() == {}
        assert one.terminate() == 0
        assert two.terminate() == 0


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.long)])
def test_workers_come_back_after_redis_was_gone_for_a_while(
    stage: QueueStage, tmp_path: Path, seed: int, count: int, seconds: int
) -> None:
    chance = random.Random(seed)
    with worker(stage, tmp_path / "w") as running, Load(stage, count, seed) as load:
        load.wait_for_starts(chance.uniform(0.1, 0.8))
        stage.server.stop()
        running.wait_for_log("event=redis_unreachable")
        time.sleep(seconds)  # the fault itself
        stage.server.start()
        load.assert_all_succeed()
        assert load.repeated() == {}
        assert running.terminate() == 0


def test_a_full_redis_takes_no_more_and_what_it_has_comes_to_its_end(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    """Nothing is evicted: the memory's limit is below what is used already, until all that was accepted has ended."""
    chance = random.Random(seed)
    stage.redis.config_set("maxmemory-policy", "noeviction")
    with worker(stage, tmp_path / "w") as running, Load(stage, count, seed) as load:
        load.wait_for_starts(chance.uniform(0.1, 0.8))
        stage.redis.config_set("maxmemory", "1mb")
        with pytest.raises(QueueUnavailable, match="no memory left"):
            stage.submit("refused", b"x" * 1000)
        wait_until(lambda: stage.ledger.pending() == 0, 120, "all that was accepted has ended")
        assert stage.ledger.final() == stage.ledger.total("accepted")
        stage.redis.config_set("maxmemory", "0")
        load.assert_all_succeed()
        assert load.repeated() == {}
        assert running.terminate() == 0


def test_a_worker_that_starts_on_a_full_redis_makes_room_in_it(stage: QueueStage, tmp_path: Path, seed: int) -> None:
    """When no other worker is left, nothing else could. RQ's own registration is refused there."""
    stage.redis.config_set("maxmemory-policy", "noeviction")
    with Load(stage, 40, seed) as load:
        wait_until(lambda: len(load.accepted) == load.count, message="all are accepted")
        stage.redis.config_set("maxmemory", "1mb")
        with worker(stage, tmp_path / "w") as running:
            wait_until(lambda: stage.ledger.pending() == 0, 60, "all that waited has ended")
            assert len(stage.redis.smembers("rq:workers")) == 1
            assert running.terminate() == 0
        assert not stage.redis.smembers("rq:workers")
        stage.redis.config_set("maxmemory", "0")
        load.assert_all_succeed()


def test_a_worker_is_stopped_while_redis_is_gone(stage: QueueStage, tmp_path: Path) -> None:
    with worker(stage, tmp_path / "w", drain_timeout="1s") as running:
        publish(stage.redis, {})
        running.wait_until_ready()
        stage.submit("a")
        stage.server.kill()
        assert running.terminate() == 0
        stage.server.start()


def test_a_result_that_waits_for_redis_when_the_drain_ends_is_recorded_and_not_run_again(
    stage: QueueStage, tmp_path: Path
) -> None:
    with SlowFunction() as function, worker(stage, tmp_path / "w", drain_timeout="10ms") as running:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept() as connection:
            stage.server.kill()
            answer(connection)
            running.wait_for_log("cannot record a result")
            running.send(signal.SIGTERM)
            running.wait_for_log("draining: 1 calls are running")
            stage.server.start()
            assert running.wait(60) == 0
    with QueueStage(stage.server) as later:
        record = later.record("a")
        assert (record.state, record.interruptions) == ("succeeded", 0)
        later.ledger.assert_balanced()
