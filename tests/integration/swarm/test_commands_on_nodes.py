"""deploy_extended.py on a swarm of two nodes: images have to get to where they run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_nodes import DockerNodes
from tests.support.registry import Registry
from tests.support.swarm_platform import SwarmPlatform


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path_factory.mktemp("nodes"), count=2, heartbeat=2, pulls=True) as nodes:
        yield nodes


def services(nodes: DockerNodes) -> list[dict[str, Any]]:
    """The task templates of everything on the swarm."""
    with contextlib.closing(nodes.manager.client()) as client:
        return [dict(service.attrs["Spec"]["TaskTemplate"]) for service in client.services.list()]


@pytest.fixture(scope="module")
def stack(nodes: DockerNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmPlatform]:
    """Not started yet for the first test; on an engine where none of its images was built yet."""
    stack = SwarmPlatform(nodes.manager, tmp_path_factory.mktemp("stack") / "state")
    yield stack
    stack.purge()


def test_images_of_one_node_are_refused_with_both_ways_out(stack: SwarmPlatform, nodes: DockerNodes) -> None:
    done = stack.command("up")
    assert done.returncode == 1
    assert "--registry" in done.stderr
    assert "--pin" in done.stderr
    assert services(nodes) == []


def test_a_pinned_stack_stays_on_the_node_with_the_images(stack: SwarmPlatform, nodes: DockerNodes) -> None:
    done = stack.command("up", "--pin", "--registry", "")
    assert done.returncode == 0, done.stderr
    placements = [template["Placement"]["Constraints"] for template in services(nodes)]
    assert len(placements) == 9
    assert all(any(constraint.startswith("node.id == ") for constraint in found) for found in placements)
    assert stack.call("echo", b"here").text == "here"


def test_a_registry_serves_every_node(stack: SwarmPlatform, nodes: DockerNodes, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", nodes.network) as registry:
        done = stack.command("up", "--no-pin", "--registry", registry.address)
        assert done.returncode == 0, done.stderr
        images = {str(template["ContainerSpec"]["Image"]) for template in services(nodes)}
        assert all(image.startswith(registry.address) and "@sha256:" in image for image in images)
        with contextlib.closing(nodes.manager.client()) as client:
            client.services.get("wordcount").scale(4)
        assert stack.call("wordcount", b"three words here").text.split() == ["0", "3", "16"]
        # The registry is remembered.
        again = stack.command("up")
        assert again.returncode == 0, again.stderr
        assert again.stdout.startswith("nothing to do")
