"""The HTTP API's contract runs against the real gateway, once behind each of its two front ends.

What only the Flask app serves runs once, behind the fast lane, which passes it on.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.invocation_stage import InvocationStage
from tests.support.redis_server import RedisServer

Started = TypeVar("Started")

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
def gateways(
    tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[Callable[[str], GatewayProcess]]:
    """The gateway of each data plane, started once for all files that a process runs."""

    def start(data_plane: str) -> GatewayProcess:
        directory = tmp_path_factory.mktemp(data_plane)
        proxies = "127.0.0.1,2001:db8:1::/48"
        return GatewayProcess(
            directory, redis_process.address, redis_process.password, data_plane, trusted_proxies=proxies
        )

    with each_once(start) as started:
        yield started


@pytest.fixture
def gateway(gateways: Callable[[str], GatewayProcess], data_plane: str) -> Iterator[GatewayProcess]:
    """A running gateway with no functions."""
    gateway = gateways(data_plane)
    yield gateway
    gateway.remove_all()


@pytest.fixture(scope="session")
def patient_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], InvocationStage]]:
    with each_once(
        lambda plane: _stage(tmp_path_factory, plane, async_max_body="20Mi", upload_budget="40Mi")
    ) as stages:
        yield stages


@pytest.fixture
def stage(patient_stages: Callable[[str], InvocationStage], data_plane: str) -> Iterator[InvocationStage]:
    """Functions to call through a gateway with the default time limits, with its own Redis."""
    stage = patient_stages(data_plane)
    stage.begin_scene()
    yield stage
    stage.end_scene()


@pytest.fixture(scope="session")
def impatient_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], InvocationStage]]:
    limits = {"read_timeout": "1500ms", "write_timeout": "1500ms", "upstream_timeout": "1s"}
    with each_once(lambda plane: _stage(tmp_path_factory, plane, **limits)) as stages:
        yield stages


@pytest.fixture
def hasty(impatient_stages: Callable[[str], InvocationStage], data_plane: str) -> Iterator[InvocationStage]:
    """Functions to call through a gateway that waits for nobody longer than about a second, with its own Redis."""
    stage = impatient_stages(data_plane)
    stage.begin_scene()
    yield stage
    stage.end_scene()


@contextlib.contextmanager
def _stage(folders: pytest.TempPathFactory, data_plane: str, **settings: str) -> Iterator[InvocationStage]:
    with (
        RedisServer(folders.mktemp("redis")) as redis,
        InvocationStage(folders.mktemp(data_plane), redis, data_plane, None, **settings) as stage,
    ):
        yield stage


@contextlib.contextmanager
def each_once(start: Callable[[str], AbstractContextManager[Started]]) -> Iterator[Callable[[str], Started]]:
    """What `start` makes of a data plane, made when it is first asked for and ended with the block."""
    with contextlib.ExitStack() as undo:
        yield functools.cache(lambda data_plane: undo.enter_context(start(data_plane)))
