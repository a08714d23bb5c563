"""A worker that runs for all tests that only use it, with a Redis of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.http import RecordingServer
from tests.support.queue_stage import QueueStage
from tests.support.redis_server import RedisServer
from tests.support.worker_process import WorkerProcess


@pytest.fixture(scope="session")
def worker_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("worker-redis")) as server:
        yield server


@pytest.fixture(scope="session")
def gateway_peer() -> Iterator[RecordingServer]:
    """What stands at `gateway:8080` for the shared worker."""
    with RecordingServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_worker(
    worker_redis: RedisServer, gateway_peer: RecordingServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    aliases = f"gateway:8080={gateway_peer.address}"
    directory = tmp_path_factory.mktemp("worker")
    with WorkerProcess(worker_redis, directory, host_aliases=aliases, callback_timeout="2s") as worker:
        worker.wait_until_ready()
        yield worker
        assert worker.terminate() == 0


@pytest.fixture
def stage(worker_redis: RedisServer, shared_worker: WorkerProcess) -> Iterator[QueueStage]:
    """An empty queue with a worker running. At the end the books must balance."""
    worker_redis.flush()
    with QueueStage(worker_redis) as stage:
        yield stage
        stage.ledger.assert_balanced()


@pytest.fixture
def bare_stage(redis_server: RedisServer) -> Iterator[QueueStage]:
    """An empty queue for workers that the test starts itself."""
    with QueueStage(redis_server) as stage:
        yield stage
        stage.ledger.assert_balanced()
