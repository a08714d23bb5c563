"""What compose files ordinarily say of a service, seen from within its container on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.compose.loading import load_compose
from stack.swarm.deployment import Deployment, stages_of
from stack.swarm.failures import FailureReports
from stack.swarm.health import HealthWait
from stack.swarm.objects import StackObjects
from stack.swarm.removal import Removal
from stack.swarm.services import StackServices
from stack.swarm.spec import SpecContext, service_spec
from tests.support.docker_engine import DockerEngine
from tests.support.images import base_image
from tests.support.waiting import wait_until

pytestmark = pytest.mark.engine

STACK = "ordinary"
COMPOSE = """
services:
  a:
    image: ${IMAGE}
    entrypoint: [sh, -c]
    command:
      - |
        echo "host $$(hostname) in $$(pwd)"; grep other-host /etc/hosts; cat /etc/resolv.conf; grep /small /proc/mounts
        echo "files $$(ulimit -Sn) $$(ulimit -Hn)"; cat /proc/sys/net/core/somaxconn; touch /data/x && echo stored
        exec sleep 9999
    hostname: chosen
    working_dir: /srv
    init: true
    stop_signal: SIGKILL
    extra_hosts: ["other-host:10.9.8.7"]
    dns_search: [example.test]
    ulimits: {nofile: {soft: 123, hard: 456}}
    sysctls: {net.core.somaxconn: 321}
    tmpfs: ["/small:size=1m,mode=1777"]
    volumes: ["data:/data"]
    networks: {default: {aliases: [nick]}}
    deploy: {mode: global, endpoint_mode: dnsrr, labels: {use: test}}
volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs, o: size=2m}}}
"""


@pytest.fixture
def output(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[str]:
    """What the container wrote."""
    client = docker_engine.client()
    said: list[str] = []
    found = StackServices(client, STACK)
    objects = StackObjects(client, STACK)
    file = tmp_path / "compose.yml"
    file.write_text(COMPOSE)
    compose = load_compose(file, {"IMAGE": base_image(docker_engine)})
    context = SpecContext(
        stack=STACK,
        images={},
        networks=objects.ensure_networks(compose.networks.values()),
        volumes=compose.volumes,
    )
    removal = Removal(found, said.append)
    deployment = Deployment(
        found, objects, HealthWait(found, FailureReports(client), said.append), removal, said.append
    )
    try:
        specs = {name: service_spec(service, context) for name, service in compose.services.items()}
        deployment.apply(stages_of(compose.services, specs))
        (container,) = client.containers.list(filters={"label": [f"com.docker.stack.namespace={STACK}"]})
        wait_until(lambda: b"stored" in container.logs(), message="the container has written everything")
        assert found.present()[f"{STACK}_a"].spec["Labels"]["use"] == "test"
        yield container.logs().decode()
    finally:
        removal.remove(found.present())
        objects.remove_networks(timeout=30)
        client.close()


def test_a_container_has_what_the_file_says(output: str) -> None:
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "host chosen in /srv" in lines
    assert "10.9.8.7 other-host" in lines
    assert any(line.startswith("search example.test") for line in lines)
    assert "files 123 456" in lines
    assert "321" in lines
    assert any(line.startswith("tmpfs /small tmpfs") and "size=1024k" in line for line in lines)
    assert "stored" in lines
