"""Who uses a network that is to be removed, so that somebody can do something about it."""

from __future__ import annotations

import re

from docker import errors as docker_errors

from stack.swarm.engine_api import EngineApi
from stack.swarm.engine_client import engine_errors
from stack.swarm.portable_specs import attachments

_TASK = re.compile(r"in use by task (\w+)")
_SERVICE_LABEL = "com.docker.swarm.service.id"


def containers_on(api: EngineApi, network: str, refusal: str) -> list[str]:
    """The containers that somebody attached to the network by hand: `probe`, or `1a2b3c4d5e6f on node2`. Of those on
    other nodes only the one that Swarm's `refusal` to remove the network speaks of."""
    with engine_errors("see what uses the network"):
        found = api.containers(filters={"network": network})
        here = [container for container in found if _SERVICE_LABEL not in container["Labels"]]
        names = sorted(str(container["Names"][0]).removeprefix("/") for container in here)
        return names or _container_of_task(api, refusal)


def services_on(api: EngineApi, network: str) -> list[str]:
    """The names of the services that are attached to the network."""
    with engine_errors("see what uses the network"):
        return sorted(
            str(service["Spec"]["Name"])
            for service in api.services()
            if any(attachment["Target"] == network for attachment in attachments(service["Spec"]))
        )


def _container_of_task(api: EngineApi, refusal: str) -> list[str]:
    """Swarm has a task without a service for a container that is attached by hand."""
    match = _TASK.search(refusal)
    if match is None:
        return []
    try:
        task = api.inspect_task(match.group(1))
    except docker_errors.NotFound:
        return []
    template = task.get("Spec")
    spec = template.get("NetworkAttachmentSpec") if template else None
    if not spec:
        return []
    nodes = {node["ID"]: (node.get("Description") or {}).get("Hostname", "") for node in api.nodes()}
    return [f"{spec['ContainerID'][:12]} on {nodes.get(task.get('NodeID', '')) or 'another node'}"]
