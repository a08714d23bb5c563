"""A service's spec without the ids that Swarm gave to what it refers to: names come back, ids do not.

Networks are named in their attachments' `Target` (which the engine takes too); secrets and configs carry both a name
and an id, and get the present id when the spec is used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from stack.errors import StackError
from swarmfn.provider.swarm.documents import NetworkAttachment, ServiceSpec


def attachments(spec: ServiceSpec) -> list[NetworkAttachment]:
    """The networks a service is attached to. Old clients wrote them beside the task template instead of into it."""
    return list(spec["TaskTemplate"].get("Networks") or spec.get("Networks") or [])


def portable(spec: ServiceSpec, network_names: Mapping[str, str]) -> ServiceSpec:
    """The spec with networks by name; `network_names` has them by id."""
    result = copy.deepcopy(spec)
    networks = attachments(result)
    for network in networks:
        network["Target"] = network_names.get(network["Target"], network["Target"])
    result.pop("Networks", None)
    if networks:
        result["TaskTemplate"]["Networks"] = networks
    return result


def resolved(
    spec: ServiceSpec, networks: Mapping[str, str], secrets: Mapping[str, str], configs: Mapping[str, str]
) -> ServiceSpec:
    """A portable spec with the ids that its networks, secrets and configs have now, which the mappings give by name.

    Raises StackError for those that are not there.
    """
    result = copy.deepcopy(spec)
    container = result["TaskTemplate"]["ContainerSpec"]
    missing: list[str] = []

    def found(kind: str, name: str, known: Mapping[str, str]) -> str:
        if name not in known:
            missing.append(f'{kind} "{name}"')
        return known.get(name, "")

    for network in attachments(result):
        network["Target"] = found("network", network["Target"], networks)
    for secret in container.get("Secrets") or []:
        secret["SecretID"] = found("secret", secret["SecretName"], secrets)
    for config in container.get("Configs") or []:
        config["ConfigID"] = found("config", config["ConfigName"], configs)
    if missing:
        raise StackError(f"it needs what is not there any more: {', '.join(missing)}")
    return result
