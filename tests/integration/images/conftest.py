"""Containers on the run's engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.support.containers import STRICT, Running, Start
from tests.support.docker_engine import DockerEngine


@pytest.fixture(scope="session")
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client(300)) as client:
        yield client


@pytest.fixture(scope="module")
def start(docker_engine: DockerEngine, client: docker.DockerClient) -> Iterator[Start]:
    """Starts containers that end with the module's tests."""
    with contextlib.ExitStack() as ending:

        def run(image: str, command: list[str] | None = None, **options: Any) -> Running:
            options = {**STRICT, "ports": {"8080/tcp": None}, **options}
            container = client.containers.run(image, command, detach=True, **options)
            ending.callback(container.remove, force=True, v=True)
            return Running(container, docker_engine.address)

        yield run
