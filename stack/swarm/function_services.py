"""Which services of a swarm are functions of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker

from stack.swarm.engine_client import engine_errors
from stack.swarm.portable_specs import Document, attachments
from swarmfn.wire.swarm_labels import FUNCTION_LABEL, NETWORK_LABEL, NETWORK_VALUE, SPEC_LABEL


def function_services(client: docker.DockerClient, stack: str) -> list[Document]:
    """The services of the stack's functions, by name: those that its gateway deployed, and those that others attached
    to its functions network. Functions of another platform on the same swarm are none of them."""
    with engine_errors("list the functions"):
        services: list[Document] = client.api.services(filters={"label": FUNCTION_LABEL})
        networks = client.api.networks(filters={"label": f"{NETWORK_LABEL}={NETWORK_VALUE}"})
    own = {network["Id"] for network in networks if network["Name"] == f"{stack}_functions"}
    foreign = {network["Id"] for network in networks} - own
    return sorted(
        (service for service in services if belongs(service, own, foreign)), key=lambda service: service["Spec"]["Name"]
    )


def belongs(service: Mapping[str, Any], own: set[str], foreign: set[str]) -> bool:
    """Whether a function's service is one of the stack whose functions networks are `own`."""
    attached = {attachment["Target"] for attachment in attachments(service["Spec"])}
    if attached & own:
        return True
    return SPEC_LABEL in (service["Spec"].get("Labels") or {}) and not attached & foreign


def function_name(service: Mapping[str, Any]) -> str:
    """The name of the function that a service runs."""
    return str(service["Spec"]["Labels"].get(FUNCTION_LABEL) or service["Spec"]["Name"])
