"""The example functions as local processes, each behind its watchdog, with their real dependencies."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.function_files import load_functions
from swarmfn.provider.local import LocalProvider, stop_all
from tests.support.waiting import wait_until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


Call = Callable[..., Reply]


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="session")
def provider(state_dir: Path) -> Iterator[LocalProvider]:
    """All six, deployed and healthy."""
    provider = LocalProvider(state_dir, 60.0, "127.0.0.1:1")
    try:
        functions = load_functions(EXAMPLES / "stack.yml")
        for function in functions:
            provider.deploy(function)
        wait_until(lambda: all(route.addresses for route in provider.table().values()), 240, "healthy examples")
        yield provider
    finally:
        provider.close()
        stop_all(state_dir, 20.0)


@pytest.fixture(scope="session")
def call(provider: LocalProvider) -> Call:
    """Sends one request to a replica: call(name, body, method, target, headers)."""

    def send(
        name: str, body: bytes = b"", method: str = "POST", target: str = "/", headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection(provider.table()[name].addresses[0], timeout=60)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    return send
