"""Several nodes: their containers reach each other, and a node can be lost, cut off and come back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests
from docker.models.services import Service
from docker.types import EndpointSpec, ServiceMode

from tests.support.docker_nodes import DockerNodes
from tests.support.registry import Registry
from tests.support.waiting import wait_until

# Every replica says on which node it is; asked for the others, it asks each address that its service's name stands for.
SERVER = """
import http.server, os, socket, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/others":
            found = socket.getaddrinfo("tasks.everywhere", 8080, socket.AF_INET, socket.SOCK_STREAM)
            urls = sorted({f"http://{address[0]}:8080/" for *_, address in found})
            answers = [urllib.request.urlopen(url, timeout=5).read().decode() for url in urls]
            self.say(" ".join(sorted(answers)))
        else:
            self.say(os.environ["NODE"])

    def say(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path_factory.mktemp("nodes"), heartbeat=2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def client(nodes: DockerNodes) -> Iterator[docker.DockerClient]:
    with contextlib.closing(nodes.manager.client()) as client:
        yield client


@pytest.fixture(scope="module")
def everywhere(client: docker.DockerClient) -> Service:
    """One replica a node, in an overlay network; ends with the nodes."""
    client.networks.create("spanning", driver="overlay", attachable=True)
    return client.services.create(
        "debian-python:12",
        ["python3", "-c", SERVER],
        name="everywhere",
        env=["NODE={{.Node.Hostname}}"],
        networks=["spanning"],
        mode=ServiceMode("global"),
        endpoint_spec=EndpointSpec(mode="dnsrr", ports={8080: (8080, "tcp", "host")}),
    )


def ask(nodes: DockerNodes, number: int, path: str = "/") -> str:
    return requests.get(f"http://{nodes.engines[number].address}:8080{path}", timeout=20).text


def wait_for_answer(nodes: DockerNodes, number: int, path: str, text: str) -> None:
    wait_until(lambda: ask(nodes, number, path) == text, 60, f"node {number + 1} answers {text!r} at {path}", every=0.2)


def test_replicas_on_all_nodes_reach_each_other(nodes: DockerNodes, everywhere: Service) -> None:
    for number in range(3):
        wait_for_answer(nodes, number, "/others", "node1 node2 node3")


def test_a_lost_node_is_down_and_comes_back_with_its_replica(nodes: DockerNodes, everywhere: Service) -> None:
    lost = nodes.engines[1]
    wait_for_answer(nodes, 1, "/", "node2")
    lost.lose()
    with pytest.raises(OSError):
        ask(nodes, 1)
    nodes.wait_for(lost, "down")
    wait_for_answer(nodes, 0, "/others", "node1 node3")
    lost.start()
    nodes.wait_for(lost, "ready")
    wait_for_answer(nodes, 0, "/others", "node1 node2 node3")


def test_a_node_that_is_cut_off_goes_on_and_comes_back(nodes: DockerNodes, everywhere: Service) -> None:
    cut = nodes.engines[2]
    wait_for_answer(nodes, 2, "/", "node3")
    cut.cut_off()
    nodes.wait_for(cut, "down")
    with contextlib.closing(cut.client()) as own:
        assert own.containers.list(filters={"name": "everywhere"}, ignore_removed=True)
    cut.reconnect()
    nodes.wait_for(cut, "ready")
    wait_for_answer(nodes, 0, "/others", "node1 node2 node3")


def test_a_registry_brings_an_image_from_one_node_to_all(
    nodes: DockerNodes, client: docker.DockerClient, tmp_path: Path
) -> None:
    with Registry(tmp_path, nodes.network) as registry:
        name = f"{registry.address}/tests/base"
        client.images.get("debian-python:12").tag(name, "1")
        pushed = client.api.push(name, "1", stream=True, decode=True)
        assert not [line["error"] for line in pushed if "error" in line]
        assert registry.repositories() == ["tests/base"]
        with contextlib.closing(nodes.engines[2].client()) as other:
            other.images.pull(name, "1")
            assert other.images.get(f"{name}:1").id == client.images.get("debian-python:12").id
