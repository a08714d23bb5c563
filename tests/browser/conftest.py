"""A gateway and a worker to look at, and a browser to do it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.browser import Browser, Page
from tests.support.gateway import PASSWORD, USER, GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.worker import WorkerProcess


class Visitor:
    """Opens the gateway's pages with its credentials."""

    def __init__(self, browser: Browser, gateway: GatewayProcess) -> None:
        self._browser = browser
        self._gateway = gateway

    def open(self, path: str, *options: str) -> Page:
        credentials = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
        return self._browser.open(f"http://{credentials}@{self._gateway.address}{path}", 15.0, *options)


@pytest.fixture(scope="module")
def redis_for_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, redis_for_pages: RedisServer) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(directory, redis_for_pages.address, redis_for_pages.password, "fastlane") as process:
        yield process


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, redis_for_pages: RedisServer) -> Iterator[WorkerProcess]:
    """Runs one call of each function at a time."""
    directory = tmp_path_factory.mktemp("worker")
    with WorkerProcess(directory, redis_for_pages.address, redis_for_pages.password, max_inflight="1") as process:
        yield process


@pytest.fixture
def visitor(tmp_path: Path, gateway: GatewayProcess) -> Visitor:
    return Visitor(Browser(tmp_path / "profile"), gateway)
