"""Everything that services need before they can be described: the compose file's values, images, secrets, a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import docker

from stack.chosen_files import files_of
from stack.compose.loading import load_compose
from stack.compose.model import ComposeFile
from stack.credentials import Credentials
from stack.draining import with_room_to_drain
from stack.errors import StackError
from stack.settings_check import check_settings
from stack.state import Settings, StateDirectory
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors, engine_host
from stack.swarm.images import STACK_IMAGE, ensure_stack_image
from stack.swarm.placement import Placement
from stack.swarm.references import pinned
from stack.swarm.registry import choose_redis_image
from stack.swarm.registry_logins import logins_for
from stack.swarm.spec import Reference
from stack.swarm.stack_passwords import ensure_secrets, ensure_value
from swarmfn.wire.secret_files import REGISTRY_LOGINS

Say = Callable[[str], None]
REDIS = "redis"
REQUIRED = frozenset({"gateway", "worker", REDIS})
"""The services that every stack needs."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made or found. `images` holds the reference to run by the service's name; `stack_image` that of
    the gateway, `redis_image` that of the queue's server, by names that people know."""

    compose: ComposeFile
    credentials: Credentials
    secrets: Mapping[str, Reference]
    images: Mapping[str, str]
    stack_image: str
    redis_image: str


class Preparation:
    """Makes images and secrets for one stack. Raises StackError."""

    def __init__(
        self,
        client: docker.DockerClient,
        root: Path,
        state: StateDirectory,
        environ: Mapping[str, str],
        placement: Placement,
        say: Say,
    ) -> None:
        self._client = client
        self._placement = placement
        self._root = root
        self._state = state
        self._environ = environ
        self._say = say

    def prepare(self, settings: Settings, present_redis: str) -> Prepared:
        """`present_redis` is the image that the stack's Redis has now; "" without one. Settings that cannot be used are
        refused before anything is made."""
        compose = self.compose(settings)
        if compose.services["gateway"].image == STACK_IMAGE:  # of another image's settings nobody knows here
            check_settings(compose.services, files_of(settings.compose_files, self._root), self._root, self._say)
        credentials, secrets = self._secrets(compose, settings)
        stack_image, stack_reference = self._stack_image(compose, settings)
        redis_image = choose_redis_image(self._client, self._environ, stack_image, present_redis, self._say)
        is_own = redis_image == stack_image
        redis_reference = stack_reference if is_own else pinned(self._client, redis_image, self._say)
        others = {
            name: stack_reference if service.image == stack_image else pinned(self._client, service.image, self._say)
            for name, service in compose.services.items()
            if name != REDIS
        }
        images = {**others, REDIS: redis_reference}
        for name in others:
            self._placement.check(self._client, compose.services[name].image, images[name])
        return Prepared(compose, credentials, secrets, images, stack_image, redis_image)

    def compose(self, settings: Settings) -> ComposeFile:
        """The compose file with what this stack has chosen."""
        variables = variables_of(settings, self._environ)
        first, *later = files_of(settings.compose_files, self._root)
        compose = load_compose(first, {**self._environ, **variables}, later)
        if missing := REQUIRED - set(compose.services):
            raise StackError(f"the compose file has no service {', '.join(sorted(missing))}.")
        return replace(compose, services=with_room_to_drain(compose.services))

    def _secrets(self, compose: ComposeFile, settings: Settings) -> tuple[Credentials, Mapping[str, Reference]]:
        kept = {key: secret for key, secret in compose.secrets.items() if key != REGISTRY_LOGINS}
        credentials, secrets = ensure_secrets(self._client, settings.stack, kept, self._state)
        if logins := compose.secrets.get(REGISTRY_LOGINS):
            value = logins_for(self._client, settings.registry)
            secrets[REGISTRY_LOGINS] = ensure_value(self._client, settings.stack, logins, value)
        return credentials, secrets

    def _stack_image(self, compose: ComposeFile, settings: Settings) -> tuple[str, str]:
        """The image's name, and the reference to run: built from the code here, unless another one was named."""
        name = compose.services["gateway"].image
        if name != STACK_IMAGE:
            return name, pinned(self._client, name, self._say)
        built = ensure_stack_image(self._client, self._root, STACK_IMAGE, settings.base_image, self._say)
        return name, self._placement.publish(self._client, built.name, built.id, self._say)


def variables_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What the compose file gets besides the environment. The engine's socket on its node is where it is for us, if it
    is a socket at all."""
    host = urlsplit(engine_host(environ))
    socket = environ.get("docker_socket") or (host.path if host.scheme == "unix" else "")
    chosen = {
        "gateway_port": str(settings.port),
        "management_port": str(settings.management_port or ""),
        "SWARMFN_STACK": settings.stack,
    }
    return {**chosen, "docker_socket": socket} if socket else chosen


def data_node(client: docker.DockerClient, remembered: str, own: str) -> str:
    """The node that named volumes lie on: the previous one while it is in the swarm, else this one."""
    api = api_of(client)
    with engine_errors("list the nodes"):
        ids = {node["ID"] for node in api.nodes()}
    return remembered if remembered in ids else own
