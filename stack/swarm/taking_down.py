"""Stopping a stack on a Swarm so that nothing is lost, and removing it so that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable

import docker
from docker import errors as docker_errors

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors, explanation
from stack.swarm.function_services import function_services
from stack.swarm.images import images_of, remove_built
from stack.swarm.objects import StackObjects
from stack.swarm.removal import Removal
from stack.swarm.services import StackServices
from stack.swarm.stack_passwords import remove_secrets
from stack.swarm.stored_functions import forget, put_away, stored_images
from swarmfn.wire.swarm_labels import STACK_LABEL

_NETWORK_PATIENCE = 60.0
_VOLUME_PATIENCE = 30.0
_POLL = 0.3


class TakingDown:
    """`down` for one stack. Every method may raise StackError, and can be called again after that."""

    def __init__(
        self, client: docker.DockerClient, stack: str, services: StackServices, say: Callable[[str], None]
    ) -> None:
        self._client = client
        self._api = api_of(client)
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
        functions = self._stop_functions()
        for name in [name for name in names if name.endswith("_redis")]:
            self._stop([name], name)
        objects = StackObjects(self._client, self._stack)
        objects.remove_networks(_NETWORK_PATIENCE)
        objects.remove_configs()
        return bool(names or functions)

    def purge(self) -> None:
        """Removes what `stop` leaves: functions, secrets, volumes, and the images that were built here and no
        other stack uses."""
        self.remove_data()
        with engine_errors("list the services"):
            others = images_of(self._api.services())
        remove_built(self._client, others | stored_images(self._client), self._say)

    def remove_data(self) -> None:
        """Removes functions, secrets and volumes."""
        forget(self._client, self._stack)
        remove_secrets(self._client, self._stack)
        for name in self.volumes():
            self._remove_volume(name)

    def volumes(self) -> list[str]:
        """The names of the stack's volumes on this node."""
        with engine_errors("list the volumes"):
            entries = self._api.volumes(filters={"label": [f"{STACK_LABEL}={self._stack}"]})["Volumes"] or []
        return [entry["Name"] for entry in entries]

    def _stop_functions(self) -> list[str]:
        names = [service["Spec"]["Name"] for service in function_services(self._client, self._stack)]
        self._removal.wait_for(names, lambda: put_away(self._client, self._stack, self._say))
        return names

    def _stop(self, names: list[str], title: str) -> None:
        self._say(f"{title}: stopping")
        self._removal.remove(names)

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
