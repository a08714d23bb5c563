"""The provider contract's engines: each test runs once on every one of them.

A test gets `engine`, opens nothing itself, and describes functions by what they do; how such a function is made for an
engine is the engine's business. A new engine is one more class, and one more entry in ENGINES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmfn.provider import Provider
from tests.contract.provider.engines import Engine
from tests.contract.provider.local_engine import LocalEngine
from tests.contract.provider.swarm_engine import Swarm, SwarmEngine
from tests.support.docker_engine import DockerEngine


def _local(request: pytest.FixtureRequest) -> Engine:
    folder: Path = request.getfixturevalue("tmp_path")
    return LocalEngine(folder)


def _swarm(request: pytest.FixtureRequest) -> Engine:
    return SwarmEngine(request.getfixturevalue("swarm"))


ENGINES: dict[str, Callable[[pytest.FixtureRequest], Engine]] = {"local": _local, "swarm": _swarm}


@pytest.fixture(scope="module")
def swarm(docker_engine: DockerEngine) -> Iterator[Swarm]:
    """What a module's tests share on the engine."""
    swarm = Swarm(docker_engine)
    yield swarm
    swarm.clear()
    swarm.close()


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = ENGINES[request.param](request)
    yield engine
    engine.destroy()


@pytest.fixture
def provider(engine: Engine) -> Provider:
    return engine.provider
