"""A client of the shared engine, which is left as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
import pytest

from tests.support.docker_engine import DockerEngine


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client()) as client:
        yield client
