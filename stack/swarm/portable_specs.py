"""A service's spec without the ids that Swarm gave to what it refers to: names come back, ids do not.

Networks are named in their attachments' `Target` (which the engine takes too); secrets and configs carry both a name
and an id, and get the present id when the spec is used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from stack.errors import StackError

Document = dict[str, Any]


def attachments(spec: Mapping[str, Any]) -> list[Document]:
    """The networks a service is attached to. Old clients wrote them beside the task template instead of into it."""
    return list(spec["TaskTemplate"].get("Networks") or spec.get("Networks") or [])


def portable(spec: Mapping[str, Any], network_names: Mapping[str, str]) -> Document:
    """The spec with networks by name; `network_names` has them by id."""
    result = copy.deepcopy(dict(spec))
    networks = attachments(result)
    for network in networks:
        network["Target"] = network_names.get(network["Target"], network["Target"])
    result.pop("Networks", None)
    if networks:
        result["TaskTemplate"]["Networks"] = networks
    return result


def resolved(
    spec: Mapping[str, Any], networks: Mapping[str, str], secrets: Mapping[str, str], configs: Mapping[str, str]
) -> Document:
    """A portable spec with the ids that its networks, secrets and configs have now, which the mappings give by name.

    Raises StackError for those that are not there.
    """
    result = copy.deepcopy(dict(spec))
    container = result["TaskTemplate"]["ContainerSpec"]
    places = (
        (attachments(result), "network", "Target", "Target", networks),
        (container.get("Secrets") or [], "secret", "SecretName", "SecretID", secrets),
        (container.get("Configs") or [], "config", "ConfigName", "ConfigID", configs),
    )
    missing = []
    for references, kind, name_key, id_key, known in places:
        for reference in references:
            name = reference[name_key]
            if name in known:
                reference[id_key] = known[name]
            else:
                missing.append(f'{kind} "{name}"')
    if missing:
        raise StackError(f"it needs what is not there any more: {', '.join(missing)}")
    return result
