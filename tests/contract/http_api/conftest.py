"""The HTTP API's contract runs against the real gateway, once behind each of its two front ends.

What only the Flask app serves runs once, behind the fast lane, which passes it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.invocation_stage import InvocationStage
from tests.support.redis_server import RedisServer

MANAGEMENT = {
    "test_auth",
    "test_dashboard",
    "test_invocations",
    "test_metrics",
    "test_pages",
    "test_reference",
    "test_system_bad_input",
    "test_system_functions",
    "test_system_info",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = any("data_plane" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "data_plane" in metafunc.fixturenames and not chosen:
        is_management = Path(metafunc.definition.path).stem in MANAGEMENT
        planes = ("fastlane",) if is_management else DATA_PLANES
        metafunc.parametrize("data_plane", planes, indirect=True, scope="session")


@pytest.fixture(scope="session")
def data_plane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def gateway_process(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp(data_plane)
    proxies = "127.0.0.1,2001:db8:1::/48"
    with GatewayProcess(
        directory, redis_process.address, redis_process.password, data_plane, trusted_proxies=proxies
    ) as gateway:
        yield gateway


@pytest.fixture
def gateway(gateway_process: GatewayProcess) -> Iterator[GatewayProcess]:
    """A running gateway with no functions."""
    yield gateway_process
    gateway_process.remove_all()


@pytest.fixture(scope="session")
def patient_stage(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[InvocationStage]:
    directory = tmp_path_factory.mktemp(f"stage-{data_plane}")
    with InvocationStage(directory, redis_process, data_plane, async_max_body="20Mi", upload_budget="40Mi") as stage:
        yield stage


@pytest.fixture
def stage(patient_stage: InvocationStage) -> Iterator[InvocationStage]:
    """Functions to call through a gateway with the default time limits."""
    patient_stage.begin_scene()
    yield patient_stage
    patient_stage.end_scene()


@pytest.fixture(scope="session")
def impatient_stage(data_plane: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InvocationStage]:
    directory = tmp_path_factory.mktemp(f"hasty-{data_plane}")
    limits = {"read_timeout": "1500ms", "write_timeout": "1500ms", "upstream_timeout": "1s"}
    with (
        RedisServer(tmp_path_factory.mktemp("hasty-redis")) as redis,
        InvocationStage(directory, redis, data_plane, **limits) as stage,
    ):
        yield stage


@pytest.fixture
def hasty(impatient_stage: InvocationStage) -> Iterator[InvocationStage]:
    """Functions to call through a gateway that waits for nobody longer than about a second, with its own Redis."""
    impatient_stage.begin_scene()
    yield impatient_stage
    impatient_stage.end_scene()
