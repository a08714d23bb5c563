"""One running platform for all tests that only use it, and a Redis that no other test's gateway writes to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.platform import Platform
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The embedded platform with the example functions, as `up` leaves it."""
    platform = Platform(tmp_path_factory.mktemp("platform") / "state", cors_origins="https://app.example")
    try:
        platform.up()
        yield platform
    finally:
        platform.purge()


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Not the one of the contract tests: their gateways live as long as the run and publish replica tables there."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
