"""Workers that die or are told to go in the middle of many calls."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from rq import Worker

from tests.support.http import Answer, Received, RecordingServer
from tests.support.load import Load
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import text
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish

IN_FLIGHT = 20


def worker(stage: QueueStage, directory: Path, **settings: str) -> WorkerProcess:
    directory.mkdir(exist_ok=True)
    return WorkerProcess(stage.server, directory, **{"max_inflight": str(IN_FLIGHT), **settings})


def test_a_worker_process_killed_in_mid_run_loses_nothing(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    # With a lease this long, only the supervisor can be the one who hands the calls back.
    with worker(stage, tmp_path / "w", lease="600s") as running, Load(stage, count, seed) as load:
        kills = 3
        for number in range(kills):
            load.wait_for_starts((number + chance.random()) / (kills + 1))
            running.kill_child()
            running.wait_until_ready(times=number + 2)
        load.assert_all_succeed()
        repeated = load.repeated()
        assert len(repeated) <= kills * IN_FLIGHT
        assert max(load.executions().values()) <= 1 + kills
        assert running.terminate() == 0


def test_a_whole_worker_killed_in_mid_run_is_succeeded_by_another(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with Load(stage, count, seed) as load:
        with worker(stage, tmp_path / "first", lease="2s") as first:
            load.wait_for_starts(chance.uniform(0.1, 0.8))
            first.kill()
        with worker(stage, tmp_path / "second", lease="2s") as second:
            load.assert_all_succeed()
            second.terminate()
        assert len(load.repeated()) <= IN_FLIGHT
        assert max(load.executions().values()) <= 2


def test_a_worker_takes_over_what_a_dead_one_left_while_it_has_work_of_its_own(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with Load(stage, count, seed) as load, worker(stage, tmp_path / "stays", lease="2s") as stays:
        with worker(stage, tmp_path / "dies", lease="2s") as dies:
            load.wait_for_starts(chance.uniform(0.1, 0.5))
            dies.kill()
        load.assert_all_succeed()
        assert len(load.repeated()) <= IN_FLIGHT
        stays.terminate()


def test_a_call_that_its_process_dies_of_costs_the_others_nothing(stage: QueueStage, tmp_path: Path) -> None:
    deadly, innocent = 3, [f"c{number}" for number in range(12)]
    deaths: list[int] = []
    together = threading.Event()

    def answer(request: Received) -> Answer:
        if request.header("X-Call-Id") != "killer":
            together.wait(60)
        elif len(deaths) < deadly:
            if not deaths:
                wait_until(lambda: len(called.received) == len(innocent) + 1, message="all run in one process")
            pid = wait_until(lambda: _process_of(stage, "killer"), message="whose call it is")
            os.kill(pid, signal.SIGKILL)
            deaths.append(pid)
            together.set()
        return 200, [], b""

    with RecordingServer(answer) as called, worker(stage, tmp_path / "w", lease="600s") as running:
        publish(stage.redis, {"echo": called.address}, exec_timeout=60)
        for call_id in [*innocent, "killer"]:
            stage.submit(invocation(call_id, exec_timeout=60))
        records = [stage.final(call_id, 120) for call_id in innocent]
        killer = stage.final("killer", 120)
        calls = Counter(request.header("X-Call-Id") for request in called.received)
        assert {(record.state, record.platform_failures) for record in records} == {("succeeded", 0)}
        assert max(calls[call_id] for call_id in innocent) <= 2
        # The first time it was not alone.
        assert (killer.state, killer.platform_failures, len(set(deaths))) == ("succeeded", deadly - 1, deadly)
        assert running.terminate() == 0
    wait_until(lambda: Worker.all(connection=stage.redis) == [], message="nobody is left")


def test_workers_that_come_and_go_run_nothing_twice(stage: QueueStage, tmp_path: Path, seed: int, count: int) -> None:
    chance = random.Random(seed)
    with worker(stage, tmp_path / "w0") as running, Load(stage, count, seed) as load:
        for number in range(1, 4):
            with worker(stage, tmp_path / f"w{number}") as comes:
                comes.wait_until_ready()
                load.wait_for_starts((number - 1 + chance.random()) / 4)
                assert comes.terminate() == 0
        load.assert_all_succeed()
        assert load.repeated() == {}
        assert running.terminate() == 0
    assert sum(stage.record(call_id).interruptions for call_id in load.accepted) == 0
    assert Worker.all(connection=stage.redis) == []


def test_a_run_that_outlives_the_drain_runs_again_and_no_other(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    """Runs take up to half a second here and the drain gives them a twentieth."""
    with Load(stage, count // 5, seed, longest=0.5) as load:
        with worker(stage, tmp_path / "first", drain_timeout="50ms") as first:
            load.wait_for_starts(0.3)
            assert first.terminate() == 0
        with worker(stage, tmp_path / "second") as second:
            load.assert_all_succeed()
            assert second.terminate() == 0
        interrupted = {call_id for call_id in load.accepted if stage.record(call_id).interruptions}
        assert set(load.repeated()) <= interrupted
        assert len(interrupted) <= IN_FLIGHT


def test_a_worker_that_freezes_beyond_its_lease_is_fenced_off_when_it_wakes(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with (
        worker(stage, tmp_path / "stays", lease="2s") as stays,
        worker(stage, tmp_path / "freezes", lease="2s") as freezes,
    ):
        freezes.wait_until_ready()
        pid = freezes.child()
        name = wait_until(lambda: _name_of(stage, pid))
        # Not before: a busy machine may take longer to start a worker than the other one does to run all calls.
        with Load(stage, count, seed, longest=0.1) as load:
            load.wait_for_starts(chance.uniform(0.1, 0.3))
            held: set[str] = set()
            while not held:
                wait_until(lambda: _held_by(stage, name), message="it holds calls")
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.1)  # Redis may still be at a claim that was sent before
                held = _held_by(stage, name)
                if not held:
                    os.kill(pid, signal.SIGCONT)
            wait_until(lambda: not _held_by(stage, name), 60, "the other worker has taken its calls over")
            os.kill(pid, signal.SIGCONT)
            load.assert_all_succeed()
            assert set(load.repeated()) <= held
            assert freezes.terminate() == 0
            assert stays.terminate() == 0


def _name_of(stage: QueueStage, pid: int) -> str:
    """The name that a worker process goes by in Redis; "" while it has none, as before its start and after its end."""
    found = [key for key in stage.keys("rq:worker:*") if stage.redis.hget(key, "pid") == str(pid).encode()]
    return found[0].removeprefix("rq:worker:") if found else ""


def _process_of(stage: QueueStage, call_id: str) -> int:
    """The worker process that runs a call; 0 while that is not known."""
    name = text(stage.redis.hget(f"rq:job:{call_id}", "worker_name") or b"")
    return int(stage.redis.hget(f"rq:worker:{name}", "pid") or 0)


def _held_by(stage: QueueStage, name: str) -> set[str]:
    """The ids of the calls that a worker has claimed."""
    claims = stage.redis.smembers(f"swarmfn:claims:{name}")
    return {text(claim).partition(":")[0] for claim in claims}
