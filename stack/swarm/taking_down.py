"""Stopping a stack on a Swarm so that nothing is lost, and removing it so that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import docker
from docker import errors as docker_errors

from stack.swarm.engine_client import engine_errors, explanation
from stack.swarm.objects import StackObjects
from stack.swarm.removal import Removal
from stack.swarm.secrets import remove_secrets
from stack.swarm.services import StackServices
from swarmfn.wire.swarm_labels import FUNCTION_LABEL, STACK_LABEL

_NETWORK_PATIENCE = 60.0
_VOLUME_PATIENCE = 30.0
_POLL = 0.3


class TakingDown:
    """`down` for one stack. Every method may raise StackError, and can be called again after that."""

    def __init__(
        self, client: docker.DockerClient, stack: str, services: StackServices, say: Callable[[str], None]
    ) -> None:
        self._client = client
        self._api: Any = client.api
        self._stack = stack
        self._services = services
        self._removal = Removal(services, say)
        self._say = say

    def stop(self) -> bool:
        """Stops everything: workers first, so that they can finish, then the gateway, the functions and Redis.
        Networks and configs go too; secrets, volumes and the functions' definitions stay. Whether anything was there.
        """
        names = sorted(self._services.present(), key=self._rank)
        for name in [name for name in names if not name.endswith("_redis")]:
            self._stop([name], name)
        functions = self._functions()
        if functions:
            self._stop(functions, "functions")
        for name in [name for name in names if name.endswith("_redis")]:
            self._stop([name], name)
        objects = StackObjects(self._client, self._stack)
        objects.remove_networks(_NETWORK_PATIENCE)
        objects.remove_configs()
        return bool(names or functions)

    def purge(self) -> None:
        """Removes what `stop` leaves: secrets and volumes."""
        remove_secrets(self._client, self._stack)
        with engine_errors("list the volumes"):
            entries = self._api.volumes(filters={"label": [f"{STACK_LABEL}={self._stack}"]})["Volumes"] or []
        for entry in entries:
            self._remove_volume(entry["Name"])

    def _stop(self, names: list[str], title: str) -> None:
        self._say(f"{title}: stopping")
        self._removal.remove(names)

    def _functions(self) -> list[str]:
        """The functions on this stack's network: another stack on the swarm has its own."""
        with engine_errors("list the functions"):
            networks = self._api.networks(filters={"label": [f"{STACK_LABEL}={self._stack}"]})
            services = self._api.services(filters={"label": [FUNCTION_LABEL]})
        ids = {network["Id"] for network in networks}
        return [
            service["Spec"]["Name"]
            for service in services
            if any(use["Target"] in ids for use in service["Spec"]["TaskTemplate"].get("Networks") or [])
        ]

    def _remove_volume(self, name: str) -> None:
        deadline = time.monotonic() + _VOLUME_PATIENCE
        while True:
            with engine_errors(f"remove the volume {name}"):
                try:
                    self._api.remove_volume(name)
                    return
                except docker_errors.NotFound:
                    return
                except docker_errors.APIError as exc:
                    # Swarm removes the containers of a removed service a moment after they have ended.
                    if time.monotonic() > deadline or "in use" not in explanation(exc):
                        raise
            time.sleep(_POLL)

    def _rank(self, name: str) -> int:
        return {f"{self._stack}_worker": 0, f"{self._stack}_gateway": 1}.get(name, 2)
