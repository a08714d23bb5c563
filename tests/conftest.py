"""Options and fixtures for every test."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import images
from tests.support.docker_engine import DockerEngine
from tests.support.groups import ON_DOCKER_ENGINE, group_of, rank
from tests.support.redis_server import RedisServer
from tests.support.requirements import required
from tests.support.swarm_platform import SwarmPlatform

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

_ENGINES = {"docker_engine", "frail_swarm", "swarm_platform"}


def pytest_configure(config: pytest.Config) -> None:
    """A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long form of fault and soak tests")
    parser.addoption("--seed", type=int, help="the seed of raw requests, as a run that failed has printed it")
    parser.addoption("--url", help="with tests/contract/watchdog: test the watchdog that listens at http://HOST:PORT")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests are deselected, not skipped: a run without them is complete, with none of its tests skipped."""
    for item in items:
        if _needs_engine(item):
            item.add_marker("engine")
        _require_group(item)
    items.sort(key=lambda item: rank(item.nodeid))
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def _needs_engine(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return bool(_ENGINES.intersection(getattr(item, "fixturenames", ()))) or "swarm" in map(str, parameters)


def _require_group(item: pytest.Item) -> None:
    """Each process that uses the shared engine starts one of its own, so only few may."""
    if "docker_engine" in getattr(item, "fixturenames", ()) and group_of(item.nodeid) not in ON_DOCKER_ENGINE:
        raise pytest.UsageError(f"{item.nodeid} uses a Docker engine: add its file to ON_DOCKER_ENGINE in groups.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """When several processes run tests, those of a file stay in one, and those that share a whole platform, which
    would otherwise be started in each."""
    return _Groups(config, log)


class _Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist comes without types
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _without_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _without_skip(report)


def _without_skip(report: Report) -> Report:
    """The report, as a failure if it is a skip and REQUIRE=all forbids those."""
    if report.skipped and not hasattr(report, "wasxfail") and "all" in required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden by REQUIRE=all: {reason}"
    return report


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the whole run; tests that stop or suspend Redis make a RedisServer of their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(redis_process: RedisServer) -> RedisServer:
    """A running Redis with nothing in it."""
    redis_process.flush()
    return redis_process


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """One engine for the whole run, a swarm of one node with the base image; tests leave nothing behind on it.

    Tests that stop it, or want another swarm, make a DockerEngine of their own.
    """
    with DockerEngine("engine", tmp_path_factory.mktemp("engine"), fill=images.with_ours) as engine:
        engine.init_swarm()
        images.base_image(engine)
        yield engine


@pytest.fixture(scope="session")
def swarm_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmPlatform]:
    """The platform on Swarm with the example functions, as `up` leaves it; what Redis acknowledges is on disk.

    On a swarm of its own: functions of all stacks on a swarm share one space of names.
    """
    folder = tmp_path_factory.mktemp("platform")
    with DockerEngine("platform", folder / "engine", fill=images.with_ours) as engine:
        engine.init_swarm()
        images.base_image(engine)
        variables = {"redis_appendfsync": "always", "cors_origins": "https://app.example"}
        platform = SwarmPlatform(engine, folder / "state", **variables)
        platform.up()
        yield platform
        platform.purge()
