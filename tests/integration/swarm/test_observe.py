"""The status of a stack on a real swarm, healthy and not."""

from __future__ import annotations

import docker
import pytest

from stack.swarm.observe import ServiceRow, SwarmStatus, observe
from tests.support.swarm_services import make_service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_services")

SLEEP = "import time; time.sleep(1e6)"


def status(client: docker.DockerClient) -> SwarmStatus:
    url = "http://10.0.0.1:8080"
    return observe(client, "seen", url, url)


def row(client: docker.DockerClient, name: str) -> ServiceRow:
    return next(row for row in status(client).services if row.name == name)


def test_a_healthy_stack_and_its_functions(client: docker.DockerClient) -> None:
    client.networks.create("seen_functions", driver="overlay", labels={"openfaas": "true"})
    make_service(client, "seen_worker", SLEEP, stack="seen", replicas=2)
    make_service(client, "other_worker", SLEEP, stack="other")
    make_service(client, "echo", SLEEP, networks=("seen_functions",))
    make_service(client, "idle", SLEEP, replicas=0, networks=("seen_functions",))
    wait_until(lambda: status(client).is_healthy and status(client).functions[0].available == 1)
    found = status(client)
    assert [(row.name, row.state, row.available, row.replicas) for row in found.services] == [
        ("worker", "running", 2, 2)
    ]
    assert [(line.name, line.available, line.replicas, line.problem) for line in found.functions] == [
        ("echo", 1, 1, ""),
        ("idle", 0, 0, ""),
    ]
    assert found.nodes == (1, 1)
    assert "worker    running   2/2" in found.rendered()


def test_an_image_that_nobody_has(client: docker.DockerClient) -> None:
    make_service(client, "seen_gateway", SLEEP, stack="seen", image="nobody/has:this")
    wait_until(lambda: "No such image: nobody/has:this" in row(client, "gateway").problem)
    found = row(client, "gateway")
    assert found.problem == "0 of 1 replicas run: No such image: nobody/has:this"
    assert (found.state, found.available) == ("starting", 0)
    assert not status(client).is_healthy


def test_no_node_that_suits(client: docker.DockerClient) -> None:
    make_service(client, "seen_redis", SLEEP, stack="seen", placement={"Constraints": ["node.labels.disk == fast"]})
    wait_until(lambda: "no node can take it: no suitable node (scheduling" in row(client, "redis").problem)


def test_a_program_that_ends(client: docker.DockerClient) -> None:
    make_service(client, "seen_worker", "import sys; sys.exit(2)", stack="seen")
    wait_until(lambda: row(client, "worker").restarts > 0 and "exited with status 2" in row(client, "worker").problem)


def test_an_update_that_fails_is_told_after_it_was_taken_back(client: docker.DockerClient) -> None:
    made = make_service(client, "seen_worker", SLEEP, stack="seen")
    wait_until(lambda: status(client).is_healthy)
    service = client.services.get(made)
    service.update(command=["python3", "-c", "import sys; sys.exit(3)"], fetch_current_spec=True)
    said = "the last update failed and was taken back: exited with status 3"
    wait_until(lambda: row(client, "worker").problem == said, timeout=60)
    assert row(client, "worker").available == 1
    assert status(client).is_healthy


def test_nothing_there(client: docker.DockerClient) -> None:
    assert status(client).rendered() == 'nothing of the stack "seen" is running in this swarm'
