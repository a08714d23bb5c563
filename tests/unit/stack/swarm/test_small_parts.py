"""Addresses, image references and the check of secrets."""

from __future__ import annotations

import pytest

from stack.state import Settings
from stack.swarm.addresses import candidates
from stack.swarm.preparation import variables_of
from stack.swarm.references import is_local_only, reference
from stack.swarm.stack_passwords import check_of
from swarmfn.provider.swarm.documents import ImageDocument, NodeDocument

HERE: NodeDocument = {"ID": "n1", "Status": {"Addr": "10.0.0.1"}}


@pytest.mark.parametrize(
    ("environ", "own_node", "expected"),
    [
        ({}, "n1", ["127.0.0.1:8080", "10.0.0.1:8080"]),
        ({}, "n2", ["10.0.0.1:8080"]),
        ({"DOCKER_HOST": "tcp://example.org:2375"}, "n1", ["example.org:8080", "10.0.0.1:8080"]),
        ({"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "n1", ["10.0.0.1:8080"]),
        ({"DOCKER_HOST": "10.0.0.1:2375"}, "n1", ["10.0.0.1:8080"]),
        ({"DOCKER_HOST": "ssh://me@example.org"}, "n1", ["example.org:8080", "10.0.0.1:8080"]),
        ({"DOCKER_HOST": "tcp://[fd00::2]:2375"}, "n1", ["[fd00::2]:8080", "10.0.0.1:8080"]),
        ({"DOCKER_HOST": "unix:///run/docker.sock"}, "n1", ["127.0.0.1:8080", "10.0.0.1:8080"]),
        ({"DOCKER_HOST": "fd://"}, "n1", ["127.0.0.1:8080", "10.0.0.1:8080"]),
    ],
)
def test_the_gateway_is_looked_for_where_its_node_is(
    environ: dict[str, str], own_node: str, expected: list[str]
) -> None:
    assert candidates(environ, own_node, HERE, 8080) == expected


def test_an_address_of_the_longer_kind_gets_its_brackets() -> None:
    assert candidates({}, "n2", {"ID": "n1", "Status": {"Addr": "fd00::1"}}, 80) == ["[fd00::1]:80"]


@pytest.mark.parametrize(
    ("image", "inspected", "expected"),
    [
        ("redis:7", {"Id": "sha256:1", "RepoDigests": ["redis@sha256:9"]}, "redis:7@sha256:9"),
        ("redis:7", {"Id": "sha256:1", "RepoDigests": []}, "sha256:1"),
        ("mine:1", {"Id": "sha256:1", "RepoDigests": ["redis@sha256:9"]}, "sha256:1"),
    ],
)
def test_a_service_names_what_cannot_become_something_else(image: str, inspected: ImageDocument, expected: str) -> None:
    assert reference(image, inspected) == expected
    assert is_local_only(expected) == expected.startswith("sha256:")


def test_the_check_of_a_secret_tells_values_apart_and_not_what_they_are() -> None:
    check = check_of("a password", b"salt")
    assert check == check_of("a password", b"salt")
    assert check != check_of("another", b"salt")
    assert check != check_of("a password", b"pepper")
    assert "password" not in check


def test_the_gateway_gets_the_socket_that_we_use() -> None:
    settings = Settings(port=9000, stack="mine")
    chosen = {"gateway_port": "9000", "management_port": "", "SWARMFN_STACK": "mine"}
    assert variables_of(settings, {"DOCKER_HOST": "unix:///x/d.sock"}) == {**chosen, "docker_socket": "/x/d.sock"}
    assert variables_of(settings, {})["docker_socket"] == "/var/run/docker.sock"
    assert variables_of(settings, {"DOCKER_HOST": "tcp://h:1"}) == chosen
    assert variables_of(settings, {"DOCKER_HOST": "unix:///x", "docker_socket": "/y"})["docker_socket"] == "/y"
