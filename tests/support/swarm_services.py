"""Small services on a test's swarm."""

from __future__ import annotations

import contextlib
from typing import Any

import docker
from docker.models.containers import Container
from docker.types import ContainerSpec, TaskTemplate

from tests.support.base_image import NAME as BASE
from tests.support.waiting import wait_until

TASK_LABEL = "com.docker.swarm.task.id"
_FOR_FUNCTIONS = {"label": "openfaas=true"}
STACK_LABEL = "com.docker.stack.namespace"


def make_service(
    client: docker.DockerClient,
    name: str,
    program: str,
    *,
    stack: str = "",
    function: str = "",
    replicas: int = 1,
    image: str = BASE,
    placement: dict[str, Any] | None = None,
    networks: tuple[str, ...] = (),
    **options: Any,
) -> str:
    """The id of a service that runs the Python program; it ends at once when it is told to."""
    labels = {STACK_LABEL: stack} if stack else {"com.openfaas.function": function or name, "function": "true"}
    container = ContainerSpec(image, command=["python3", "-u", "-c", program], stop_signal="SIGKILL", **options)
    template = TaskTemplate(container, placement=placement, networks=list(networks) or None)
    made = client.api.create_service(
        template,
        name=name,
        labels=labels,
        mode={"Replicated": {"Replicas": replicas}},
        endpoint_spec={"Mode": "dnsrr"},
        update_config={"Parallelism": 1, "FailureAction": "rollback", "Order": "start-first", "Monitor": 2 * 10**9},
    )
    return str(made["ID"])


def replicas(client: docker.DockerClient) -> list[Container]:
    """The running containers of all services; other tests may have containers of their own on the engine."""
    found: list[Container] = client.containers.list(filters={"label": TASK_LABEL}, ignore_removed=True)
    return found


def remove_networks(client: docker.DockerClient, *names: str) -> None:
    """Removes these networks, all those for functions by default, once what was in them is gone: Swarm refuses until
    then."""

    def are_removed() -> bool:
        found = client.networks.list(names=list(names)) if names else client.networks.list(filters=_FOR_FUNCTIONS)
        for network in found:
            with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
                network.remove()
        return not found

    wait_until(are_removed, 60, "the networks are free", every=0.3)
