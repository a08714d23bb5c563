"""Small services on a test's swarm."""

from __future__ import annotations

from typing import Any

import docker
from docker.types import ContainerSpec, TaskTemplate

from tests.support.base_image import NAME as BASE

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
