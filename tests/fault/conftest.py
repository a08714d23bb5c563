"""A Redis of the test's own, the size of the load, and a seed that a failed test shows."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.queue_stage import QueueStage
from tests.support.redis_server import RedisServer


@pytest.fixture
def seed() -> int:
    """Random, unless the environment says which (`SEED=123`)."""
    seed = int(os.environ.get("SEED", random.randrange(10**9)))
    print(f"\nSEED={seed}")
    return seed


@pytest.fixture(params=[500, pytest.param(5000, marks=pytest.mark.long)], ids=["short", "long"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Every acknowledged write is on disk."""
    directory = tmp_path / "redis"
    directory.mkdir()
    with RedisServer(directory, "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def stage(own_redis: RedisServer) -> Iterator[QueueStage]:
    """Both sides of its queue. At the end the books must balance, whatever happened."""
    with QueueStage(own_redis) as stage:
        yield stage
        stage.ledger.assert_balanced()
