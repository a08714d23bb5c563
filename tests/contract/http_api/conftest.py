"""The HTTP API's contract runs against the real gateway, once behind each of its two front ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session", params=DATA_PLANES)
def gateway_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp(request.param)
    with GatewayProcess(directory, redis_process.address, redis_process.password, request.param) as gateway:
        yield gateway


@pytest.fixture
def gateway(gateway_process: GatewayProcess) -> Iterator[GatewayProcess]:
    """A running gateway with no functions."""
    yield gateway_process
    gateway_process.remove_all()
