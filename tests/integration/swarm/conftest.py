"""A client of the shared engine, which is left as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
import pytest

from tests.support.docker_engine import DockerEngine
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
