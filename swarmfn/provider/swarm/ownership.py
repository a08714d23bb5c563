"""Whose a function is where several stacks share a swarm."""

from __future__ import annotations

from collections.abc import Iterable

from swarmfn.provider.swarm.documents import NetworkDocument, ServiceDocument


def own_services(
    services: Iterable[ServiceDocument], networks: Iterable[NetworkDocument], name: str
) -> list[ServiceDocument]:
    """Those of the functions' `services` that are not another stack's. `networks` are all the networks for functions on
    the swarm, `name` says which of them is ours. A service on none of them is anybody's: people made it."""
    ids = {network["Id"]: network["Name"] for network in networks}
    own = {network_id for network_id, found in ids.items() if found == name}
    return [service for service in services if _belongs(_attached(service), own, set(ids) - own)]


def _belongs(attached: set[str], own: set[str], foreign: set[str]) -> bool:
    return bool(attached & own) or not attached & foreign


def _attached(service: ServiceDocument) -> set[str]:
    spec = service["Spec"]
    networks = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
    return {network["Target"] for network in networks}
