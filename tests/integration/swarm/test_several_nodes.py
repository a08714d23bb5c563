"""Images, status and logs in a swarm of two nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
import pytest

from stack.build_recipes import Recipe
from stack.errors import StackError
from stack.swarm.engine_client import NotAManager, connect, require_manager, swarm_state
from stack.swarm.images import ensure_image
from stack.swarm.log_view import logs
from stack.swarm.nodes import list_nodes, pin_constraint, refuse_local_only
from stack.swarm.observe import SwarmStatus, observe
from stack.swarm.registry import is_same_repository, push
from tests.support.base_image import NAME as BASE
from tests.support.docker_nodes import DockerNodes
from tests.support.registry import Registry
from tests.support.swarm_services import make_service
from tests.support.waiting import wait_until

HELLO = "import os, time\nprint('hello'); time.sleep(1e6)"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path_factory.mktemp("nodes"), count=2, heartbeat=2, pulls=True) as nodes:
        yield nodes


@pytest.fixture
def manager(nodes: DockerNodes) -> Iterator[docker.DockerClient]:
    with contextlib.closing(nodes.manager.client()) as client:
        yield client
        for service in client.services.list():
            service.remove()


def shown(client: docker.DockerClient) -> SwarmStatus:
    url = "http://10.0.0.1:8080"
    return observe(client, "spread", url, url)


def problems(client: docker.DockerClient) -> list[str]:
    found = [row.problem for row in shown(client).services]
    assert not any(found), found
    return found


def spread(client: docker.DockerClient) -> str:
    """A replica on each of the two."""
    placement = {"Preferences": [{"Spread": {"SpreadDescriptor": "node.id"}}], "MaxReplicas": 1}
    made = make_service(client, "spread_worker", HELLO, stack="spread", replicas=2, placement=placement)
    wait_until(lambda: shown(client).is_healthy, timeout=60)
    return made


def test_a_worker_is_told_from_a_manager(nodes: DockerNodes) -> None:
    with (
        contextlib.closing(connect({"DOCKER_HOST": nodes.engines[1].url})) as client,
        pytest.raises(NotAManager, match=f"managers: {nodes.manager.address}:2377"),
    ):
        require_manager(client)


def test_an_image_of_one_node_is_refused_until_it_is_in_a_registry(
    nodes: DockerNodes, manager: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said: list[str] = []
    image = ensure_image(manager, "swarmfn:latest", lambda: Recipe(f"FROM {BASE}\nRUN echo 1 >/one\n", {}), said.append)
    own = swarm_state(manager).node_id
    with pytest.raises(StackError, match=f"{image.name} is on this node only, .*: node2"):
        refuse_local_only(list_nodes(manager), image.name, own)
    refuse_local_only([node for node in list_nodes(manager) if node.id == own], image.name, own)

    with Registry(tmp_path_factory.mktemp("registry"), nodes.network) as registry:
        pushed = push(manager, image.name, f"{registry.address}/team", said.append)
        assert registry.repositories() == ["team/swarmfn"]
        name, digest = pushed.split("@sha256:")
        assert name == f"{registry.address}/team/{image.name}"
        assert len(digest) == 64
        assert is_same_repository(pushed, image.name)
        assert push(manager, image.name, f"{registry.address}/team", said.append) == pushed

        other = next(node.id for node in list_nodes(manager) if node.id != own)
        make_service(
            manager, "spread_x", HELLO, stack="spread", image=pushed, placement={"Constraints": [pin_constraint(other)]}
        )
        wait_until(lambda: problems(manager) == [""], timeout=180, every=1)


def test_a_registry_that_is_not_there_is_said(manager: docker.DockerClient, nodes: DockerNodes) -> None:
    with pytest.raises(StackError, match=f"cannot push {nodes.network.gateway}:9/{BASE}: .*connection refused"):
        push(manager, BASE, f"{nodes.network.gateway}:9", print)


def test_a_node_that_is_lost_shows_in_the_status_and_holds_no_log_up(
    nodes: DockerNodes, manager: docker.DockerClient
) -> None:
    spread(manager)
    found: list[str] = []

    def lines() -> list[str]:
        found.clear()
        logs(manager, "spread", "worker", 10, False, found.append)
        return sorted(found)

    wait_until(lambda: lines() == ["worker.1     | hello", "worker.2     | hello"])
    lost = nodes.engines[1]
    lost.lose()
    nodes.wait_for(lost, "down")
    status = shown(manager)
    assert status.nodes == (1, 2)
    assert "2 nodes, 1 down" in status.rendered()
    assert status.services[0].available == 1
    assert "1 of 2 replicas run" in status.services[0].problem
    # The one that is there is shown; every other line is about the other.
    assert len([line for line in lines() if line.endswith("| hello")]) == 1
    lost.start()
    nodes.wait_for(lost, "ready")
    wait_until(lambda: shown(manager).is_healthy, timeout=60)
