"""deploy_extended.py on a swarm of two nodes: images have to get to where they run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support import base_image
from tests.support.docker_nodes import DockerNodes
from tests.support.processes import REPOSITORY
from tests.support.registry import Registry

Completed = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path_factory.mktemp("nodes"), count=2, heartbeat=2, pulls=True) as nodes:
        yield nodes


class Stack:
    """The stack on the two nodes; `purge` removes it."""

    def __init__(self, nodes: DockerNodes, state: Path) -> None:
        self.nodes = nodes
        self.url = f"http://{nodes.manager.address}:8080"
        self._state = state

    def run(self, *words: str) -> Completed:
        command = [sys.executable, str(REPOSITORY / "deploy_extended.py"), *words, "--state-dir", str(self._state)]
        environment = {**os.environ, "DOCKER_HOST": self.nodes.manager.url, "SWARMFN_BASE_IMAGE": base_image.NAME}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)

    def services(self) -> list[dict[str, object]]:
        """The specifications of everything on the swarm."""
        with contextlib.closing(self.nodes.manager.client()) as client:
            return [dict(service.attrs["Spec"]["TaskTemplate"]) for service in client.services.list()]


@pytest.fixture
def stack(nodes: DockerNodes, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(nodes, tmp_path / "state")
    yield stack
    done = stack.run("down", "--purge")
    assert done.returncode == 0, done.stderr


def test_images_of_one_node_are_refused_with_both_ways_out(stack: Stack) -> None:
    done = stack.run("up")
    assert done.returncode == 1
    assert "--registry" in done.stderr
    assert "--pin" in done.stderr
    assert stack.services() == []


def test_a_registry_serves_every_node(stack: Stack, nodes: DockerNodes, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", nodes.network) as registry:
        done = stack.run("up", "--registry", registry.address)
        assert done.returncode == 0, done.stderr
        images = {str(template["ContainerSpec"]["Image"]) for template in stack.services()}  # type: ignore[index]
        assert all(image.startswith(registry.address) and "@sha256:" in image for image in images)
        with contextlib.closing(nodes.manager.client()) as client:
            client.services.get("wordcount").scale(4)
        answer = requests.post(f"{stack.url}/function/wordcount", data=b"three words here", timeout=30)
        assert answer.text.split() == ["0", "3", "16"]
        # The registry is remembered.
        again = stack.run("up")
        assert again.returncode == 0, again.stderr
        assert again.stdout.startswith("nothing to do")


def test_a_pinned_stack_stays_on_the_node_with_the_images(stack: Stack) -> None:
    done = stack.run("up", "--pin")
    assert done.returncode == 0, done.stderr
    placements = [template["Placement"]["Constraints"] for template in stack.services()]  # type: ignore[index]
    assert len(placements) == 9
    assert all(any(constraint.startswith("node.id == ") for constraint in found) for found in placements)
    assert requests.post(f"{stack.url}/function/echo", data=b"here", timeout=30).text == "here"
