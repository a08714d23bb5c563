"""deploy_extended.py on a swarm of three nodes: images have to get to where they run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_nodes import DockerNodes
from tests.support.registry import PASSWORD, Registry
from tests.support.swarm_platform import SwarmPlatform


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path_factory.mktemp("nodes"), heartbeat=2, pulls=True) as nodes:
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


@pytest.fixture(scope="module")
def registry(nodes: DockerNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry"), nodes.network, needs_login=True) as registry:
        yield registry


def nodes_running(nodes: DockerNodes, service: str) -> set[str]:
    """The names of the nodes that run replicas of a function, as their own engines see it."""
    found = set()
    for engine in nodes:
        with contextlib.closing(engine.client()) as client:
            label = f"com.docker.swarm.service.name={service}"
            if client.containers.list(filters={"label": label}, ignore_removed=True):
                found.add(engine.name)
    return found


def test_a_registry_that_wants_a_login_serves_every_node(
    stack: SwarmPlatform, nodes: DockerNodes, registry: Registry, tmp_path: Path
) -> None:
    refused = stack.command("up", "--no-pin", "--registry", registry.address)
    assert refused.returncode == 1
    assert "docker login" in refused.stderr

    stack.variables |= registry.docker_config(tmp_path / "docker")
    done = stack.command("up", "--no-pin", "--registry", registry.address)
    assert done.returncode == 0, done.stderr
    images = {str(template["ContainerSpec"]["Image"]) for template in services(nodes)}
    assert all(image.startswith(registry.address) and "@sha256:" in image for image in images)
    everywhere = {"node1", "node2", "node3"}
    # Of each image no more than one node has a copy so far: the others have to log in for it.
    for name in ("wordcount", "markdown"):
        stack.scale(name, 3)
        assert nodes_running(nodes, name) == everywhere
    answers = {stack.call("wordcount", b"three words here").text.split()[2] for _ in range(12)}
    assert answers == {"16"}
    assert "<h1>" in stack.call("markdown", b"# here").text
    image = next(image for image in images if "/echo:" in image)
    stack.deploy("later", image=image, envProcess="cat", constraints=["node.hostname == node3"])
    assert stack.call("later", b"here").text == "here"

    # The registry is remembered.
    again = stack.command("up")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("nothing to do")
    prepared = stack.command("prepare")
    assert prepared.returncode == 0, prepared.stderr
    assert f" SWARMFN_IMAGE={next(image for image in images if '/swarmfn:' in image)} " in prepared.stdout
    assert " docker stack deploy --with-registry-auth " in prepared.stdout
    said = [prepared, done, refused, again, stack.command("status", "--json")]
    said += [stack.command("logs", "gateway", "-n", "1000")]
    with contextlib.closing(nodes.manager.client()) as client:
        shown = [str(client.api.services()), str(client.api.secrets()), str(client.api.tasks())]
    shown += [f"{one.stdout} {one.stderr}" for one in said] + [stack.system("GET", "/system/functions").text]
    assert not [text for text in shown if PASSWORD in text or registry.login in text]


def test_another_password_of_the_registry_reaches_what_runs(
    stack: SwarmPlatform, nodes: DockerNodes, registry: Registry, tmp_path: Path
) -> None:
    with contextlib.closing(nodes.manager.client()) as client:
        before = {task["ID"] for task in client.services.get("sleep").tasks()}
        registry.change_password()
        stack.variables |= registry.docker_config(tmp_path / "docker")
        done = stack.command("up")
        assert done.returncode == 0, done.stderr
        assert {task["ID"] for task in client.services.get("sleep").tasks()} == before
        # Not through the gateway, which would give the login along.
        client.services.get("sleep").scale(3)
    stack.wait_for_replicas("sleep", 3)
    assert nodes_running(nodes, "sleep") == {"node1", "node2", "node3"}
