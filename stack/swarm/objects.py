"""Networks and configs of one stack on the engine: made when missing, and removed again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence

import docker
from docker import errors as docker_errors

from stack.compose.model import Config, Network
from stack.errors import StackError
from stack.swarm.engine_api import Filters, api_of
from stack.swarm.engine_client import engine_errors, explanation
from stack.swarm.network_users import containers_on, services_on
from stack.swarm.spec import Reference
from swarmfn.provider.swarm.documents import NetworkDocument
from swarmfn.wire.swarm_labels import STACK_LABEL

_POLL = 0.3
_GUEST_PATIENCE = 5.0


class StackObjects:
    """Every method may raise StackError. `created_networks` and `created_configs` hold the ids of what this object
    made."""

    def __init__(self, client: docker.DockerClient, stack: str) -> None:
        self._api = api_of(client)
        self._stack = stack
        self.created_networks: list[str] = []
        self.created_configs: list[str] = []

    def ensure_networks(self, networks: Iterable[Network]) -> dict[str, str]:
        """The ids of the networks by their name in the compose file."""
        present = {entry["Name"]: entry for entry in self._networks({})}
        return {network.name: self._ensure_network(network, present) for network in networks}

    def ensure_configs(self, configs: Iterable[Config]) -> dict[str, Reference]:
        """The configs by their name in the compose file. A config cannot be changed: one with other content has
        another name."""
        with engine_errors("list the configs"):
            present = {entry["Spec"]["Name"]: entry["ID"] for entry in self._api.configs()}
        return {config.name: self._ensure_config(config, present) for config in configs}

    def remove_configs(self, keep: Iterable[Reference] = ()) -> None:
        """Removes the stack's configs that no service needs any more."""
        kept = {reference.id for reference in keep}
        with engine_errors("remove the configs"):
            entries = self._api.configs(filters={"label": [f"{STACK_LABEL}={self._stack}"]})
            for entry in entries:
                if entry["ID"] not in kept:
                    self._remove_config(entry["ID"])

    def has_networks(self) -> bool:
        """Whether any of the stack's networks is there."""
        return bool(self._networks({"label": [f"{STACK_LABEL}={self._stack}"]}))

    def remove_networks(self, timeout: float) -> None:
        """Removes the stack's networks, once the last container has left them."""
        label = f"{STACK_LABEL}={self._stack}"
        for entry in self._networks({"label": [label]}):
            self._remove_network(entry["Id"], entry["Name"], time.monotonic() + timeout)

    def remove_created(self, timeout: float) -> None:
        """Removes what this object made."""
        for network in self.created_networks:
            self._remove_network(network, network, time.monotonic() + timeout)
        with engine_errors("remove the configs"):
            for config in self.created_configs:
                self._remove_config(config)

    def _in_use(self, network: str, name: str, guests: Sequence[str], error: docker_errors.APIError) -> str:
        services = services_on(self._api, network)
        users = " and ".join(filter(None, (_listed("the container", guests), _listed("the service", services))))
        if not users:
            return f"cannot remove the network {name}: {explanation(error)}"
        commands = ["`docker rm -f`", f"`docker network disconnect -f {name}`"] if guests else []
        commands += ["`docker service rm`"] if services else []
        return (
            f"cannot remove the network {name}: it is still used by {users}. "
            f"End that, with {' or '.join(commands)} and the name, then do this again."
        )

    def _networks(self, filters: Filters) -> list[NetworkDocument]:
        with engine_errors("list the networks"):
            return self._api.networks(filters={**filters, "scope": ["swarm"]})

    def _ensure_network(self, network: Network, present: Mapping[str, NetworkDocument]) -> str:
        name = network.name_in(self._stack)
        if network.is_external:
            if name not in present:
                raise StackError(
                    f"there is no network {name} on this swarm; the compose file says that it is external."
                )
            return str(present[name]["Id"])
        labels = {STACK_LABEL: self._stack, **network.labels}
        if name in present:
            _check_network(name, present[name], network, labels)
            return str(present[name]["Id"])
        with engine_errors(f"create the network {name}"):
            created = self._api.create_network(
                name,
                driver=network.driver,
                options=dict(network.options) or None,
                check_duplicate=True,
                internal=network.is_internal,
                attachable=network.is_attachable,
                labels=labels,
                scope="swarm",
            )
        self.created_networks.append(created["Id"])
        return str(created["Id"])

    def _ensure_config(self, config: Config, present: Mapping[str, str]) -> Reference:
        name = f"{self._stack}_{config.name}-{hashlib.sha256(config.content).hexdigest()[:12]}"
        if name in present:
            return Reference(present[name], name)
        with engine_errors(f"create the config {name}"):
            created = self._api.create_config(name, config.content, labels={STACK_LABEL: self._stack})
        self.created_configs.append(created["ID"])
        return Reference(created["ID"], name)

    def _remove_config(self, config: str) -> None:
        try:
            self._api.remove_config(config)
        except docker_errors.NotFound:
            return
        except docker_errors.APIError as exc:
            # A service that is not ours may have it; then it stays.
            if "in use" not in explanation(exc):
                raise

    def _remove_network(self, network: str, name: str, deadline: float) -> None:
        """Returns when the engine no longer lists it: it goes on doing so for a moment after it has said yes, and who
        then looked for the network would find one that is going."""
        began = time.monotonic()
        while True:
            with engine_errors(f"remove the network {name}"):
                try:
                    self._api.remove_network(network)
                except docker_errors.NotFound:
                    return
                except docker_errors.APIError as exc:
                    if not _is_in_use(exc):
                        raise
                    # Our own containers leave a network a moment after they have ended; nobody ends those of others.
                    guests = containers_on(self._api, network, explanation(exc))
                    if time.monotonic() > (min(began + _GUEST_PATIENCE, deadline) if guests else deadline):
                        raise StackError(self._in_use(network, name, guests, exc)) from exc
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL)


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""


def _is_in_use(error: docker_errors.APIError) -> bool:
    text = explanation(error)
    return "in use" in text or "active endpoints" in text


def _check_network(name: str, found: NetworkDocument, network: Network, labels: Mapping[str, str]) -> None:
    present = found.get("Labels") or {}
    if present.get(STACK_LABEL) != labels[STACK_LABEL]:
        raise StackError(f"the network {name} exists and is not of this stack. Choose another name with --stack.")
    wanted = (network.driver, network.is_internal, network.is_attachable)
    is_same = wanted == (found.get("Driver"), found.get("Internal"), found.get("Attachable"))
    options = found.get("Options") or {}
    is_same = is_same and all(options.get(key) == value for key, value in network.options.items())
    if not is_same or any(present.get(key) != value for key, value in labels.items()):
        raise StackError(
            f"the network {name} is not as the compose file describes it, and a network in use cannot be changed. "
            "`down`, then `up`, creates it again."
        )
