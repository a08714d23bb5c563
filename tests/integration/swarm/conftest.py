"""A client of the shared engine, and a stack on it; the engine is left as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
import pytest

from tests.support.docker_engine import DockerEngine
from tests.support.swarm_command import Command
from tests.support.swarm_services import remove_networks, replicas
from tests.support.waiting import wait_until


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client()) as client:
        yield client


@pytest.fixture
def no_services(client: docker.DockerClient) -> Iterator[None]:
    """None is left behind, nor a network for functions."""
    yield
    for service in client.services.list():
        service.remove()
    wait_until(lambda: not replicas(client), message="the services' containers are gone")
    remove_networks(client)


@pytest.fixture(scope="module")
def clean(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """No stack yet; at the end everything is purged, and nothing may be left."""
    command = Command(docker_engine, tmp_path_factory.mktemp("stack"))
    before = command.leftovers()
    yield command
    done = command.run("down", "--purge")
    assert done.returncode == 0, done.stderr
    assert command.leftovers() == before
    assert not command.state.exists()


@pytest.fixture
def running(clean: Command) -> Command:
    """The stack runs as described."""
    done = clean.up()
    assert done.returncode == 0, done.stderr
    return clean
