"""Which services of a swarm are functions of the stack."""

from __future__ import annotations

import docker

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.portable_specs import attachments
from swarmfn.provider.swarm.documents import ServiceDocument
from swarmfn.wire.swarm_labels import FUNCTION_LABEL, NETWORK_LABEL, NETWORK_VALUE, SPEC_LABEL


def function_services(client: docker.DockerClient, stack: str) -> list[ServiceDocument]:
    """The services of the stack's functions, by name: those that its gateway deployed, and those that others attached
    to its functions network. Functions of another platform on the same swarm are none of them."""
    with engine_errors("list the functions"):
        services = api_of(client).services(filters={"label": FUNCTION_LABEL})
        networks = api_of(client).networks(filters={"label": f"{NETWORK_LABEL}={NETWORK_VALUE}"})
    own = {network["Id"] for network in networks if network["Name"] == f"{stack}_functions"}
    foreign = {network["Id"] for network in networks} - own
    return sorted(
        (service for service in services if belongs(service, own, foreign)), key=lambda service: service["Spec"]["Name"]
    )


def belongs(service: ServiceDocument, own: set[str], foreign: set[str]) -> bool:
    """Whether a function's service is one of the stack whose functions networks are `own`."""
    attached = {attachment["Target"] for attachment in attachments(service["Spec"])}
    if attached & own:
        return True
    return SPEC_LABEL in (service["Spec"].get("Labels") or {}) and not attached & foreign


def function_name(service: ServiceDocument) -> str:
    """The name of the function that a service runs."""
    return str((service["Spec"].get("Labels") or {}).get(FUNCTION_LABEL) or service["Spec"]["Name"])
