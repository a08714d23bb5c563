"""Making an engine that is in no swarm the manager of one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.swarm.engine_client import NotInSwarm, connect, init_swarm, require_manager
from tests.support.docker_engine import DockerEngine
from tests.support.processes import ChildProcess

INIT = """
import sys
from stack.swarm.engine_client import connect, init_swarm
client = connect({"DOCKER_HOST": sys.argv[1]})
print(init_swarm(client, *sys.argv[2:]).address)
client.close()
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DockerEngine]:
    with DockerEngine("lonely", tmp_path / "engine") as engine:
        yield engine


def init_inside(engine: DockerEngine, log: Path, *address: str) -> str:
    """What a command on the engine's own machine prints: a machine with one address more."""
    engine.machine.run("ip", "address", "add", "10.99.0.1/24", "dev", "eth0")
    with ChildProcess(engine.enter(sys.executable, "-c", INIT, engine.url, *address), log) as child:
        assert child.wait() == 0, child.log()
        return child.log().strip()


def test_an_engine_becomes_the_manager_of_a_swarm_of_its_own(engine: DockerEngine) -> None:
    with contextlib.closing(connect({"DOCKER_HOST": engine.url})) as client:
        with pytest.raises(NotInSwarm):
            require_manager(client)
        assert init_swarm(client, engine.address).address == engine.address
        assert require_manager(client).is_ready


def test_of_several_addresses_that_of_the_default_route_is_taken(engine: DockerEngine, tmp_path: Path) -> None:
    assert init_inside(engine, tmp_path / "log") == engine.address


def test_an_address_that_is_named_is_taken(engine: DockerEngine, tmp_path: Path) -> None:
    assert init_inside(engine, tmp_path / "log", "10.99.0.1") == "10.99.0.1"
