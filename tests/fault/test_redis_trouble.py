"""Redis dies, hangs, refuses, or goes away while many calls are on their way."""

from __future__ import annotations

import functools
import random
import signal
import time
from pathlib import Path

import pytest
import redis

from swarmfn.wire.errors import QueueUnavailable
from tests.support.gateway import GatewayProcess
from tests.support.load import Load
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redirector import Redirector
from tests.support.redis_server import RedisServer, own_password
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


def test_a_redis_that_cannot_write_to_its_disk_takes_no_more_and_nothing_runs_twice(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    in_the_way = tmp_path / "redis" / "dump.rdb" / "in-its-place"
    with (
        worker(stage, tmp_path / "w1") as one,
        worker(stage, tmp_path / "w2") as two,
        Load(stage, count, seed, longest=0.1) as load,
    ):
        load.wait_for_starts(chance.uniform(0.1, 0.6))
        stage.redis.config_set("save", "3600 1")
        in_the_way.mkdir(parents=True)
        stage.redis.bgsave()
        wait_until(lambda: "MISCONF" in refusal(stage.redis), message="it takes no writes")
        with pytest.raises(QueueUnavailable, match="refused to store it"):
            stage.submit("refused")
        time.sleep(4)  # the fault itself: longer than every lease
        in_the_way.rmdir()
        in_the_way.parent.rmdir()
        stage.redis.bgsave()
        load.assert_all_succeed()
        assert load.repeated() == {}
        assert one.terminate() == 0
        assert two.terminate() == 0


def refusal(client: redis.Redis) -> str:
    """What it says to a write; "" when it takes it."""
    try:
        client.delete("not-there")
    except redis.ResponseError as exc:
        return str(exc)
    return ""


def test_while_redis_loads_its_data_everybody_waits_whoever_begins_then_too(
    tmp_path: Path, seed: int, count: int
) -> None:
    slow = ("--appendfsync", "always", "--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")
    (tmp_path / "slow").mkdir()
    with (
        RedisServer(tmp_path / "slow", *slow) as server,
        QueueStage(server) as stage,
        worker(stage, tmp_path / "w1") as one,
        Load(stage, count, seed) as load,
    ):
        load.wait_for_starts(random.Random(seed).uniform(0.2, 0.5))
        stage.redis.mset({f"filler:{number}": "" for number in range(1500)})  # more than 7 s of loading
        stage.redis.bgrewriteaof()
        wait_until(lambda: not stage.redis.info("persistence")["aof_rewrite_in_progress"], message="its file is small")
        server.kill()
        server.begin()
        wait_until(lambda: says(server, redis.exceptions.BusyLoadingError), message="it loads")
        with worker(stage, tmp_path / "w2") as two:
            two.wait_for_log("waiting for Redis")
            wait_until(lambda: says(server, None), 60, "all is loaded")
            load.assert_all_succeed()
            assert load.repeated() == {}
            two.wait_until_ready()
            assert two.terminate() == 0
        assert one.terminate() == 0


def says(server: RedisServer, error: type[Exception] | None) -> bool:
    """Whether this, None for PONG, is what it answers."""
    try:
        with server.client() as client:
            return bool(client.ping()) and error is None
    except (redis.ConnectionError, redis.TimeoutError) as exc:  # among them that it loads, and no answer while it does
        return type(exc) is error


class NamedServer(RedisServer):
    """A Redis that is reached by what its name leads to; so is its replica once it has taken over."""

    def __init__(self, directory: Path, name: Redirector) -> None:
        self._name = name
        password = own_password()
        super().__init__(directory, "--appendfsync", "always", "--masterauth", password, password=password)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._name.port}"

    def start(self) -> None:
        self._name.target = self.port
        super().start()

    def own_client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password)


def test_calls_go_on_when_a_replica_has_taken_over(tmp_path: Path) -> None:
    """A program that keeps its open connections is refused for ever: they lead to what is a replica now."""
    for folder in ("first", "second", "worker"):
        (tmp_path / folder).mkdir()
    with (
        Redirector() as name,
        NamedServer(tmp_path / "first", name) as first,
        RedisServer(
            tmp_path / "second",
            *("--replicaof", "127.0.0.1", str(first.port), "--masterauth", first.password),
            password=first.password,
        ) as second,
        GatewayProcess(tmp_path, first.address, first.password, "fastlane") as gateway,
        WorkerProcess(first, tmp_path / "worker") as running,
        first.own_client() as old,
        second.client() as new,
    ):
        new.replicaof("127.0.0.1", first.port)
        running.wait_until_ready()
        gateway.deploy("nap", envProcess="sleep 3")

        def send() -> str:
            answer = gateway.post("/async-function/nap")
            return answer.headers["X-Call-Id"] if answer.status_code == 202 else ""

        begun = [send() for _ in range(5)]
        wait_until(lambda: state_of(gateway, begun[-1]) == "running", message="they run")
        wait_until(lambda: old.info("replication").get("slave0", {}).get("state") == "online", message="all is copied")
        name.target = second.port
        old.execute_command("FAILOVER")
        later = wait_until(send, 20, "a call is accepted again")
        for call_id in (*begun, later):
            wait_until(functools.partial(has_succeeded, gateway, call_id), 30, f"{call_id} has ended")
            assert len(gateway.get(f"/async-function/{call_id}").json()["attempts"]) == 1
        assert running.terminate() == 0


def has_succeeded(gateway: GatewayProcess, call_id: str) -> bool:
    return state_of(gateway, call_id) == "succeeded"


def state_of(gateway: GatewayProcess, call_id: str) -> str:
    """ "" while its status cannot be had."""
    return str(gateway.get(f"/async-function/{call_id}").json().get("state", ""))


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
