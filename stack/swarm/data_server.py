"""That the queue's data on a Swarm stays with a server that reads it, whatever image the service gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import docker
from docker import errors as docker_errors

from stack.errors import StackError
from stack.queue_server import QueueServer, can_read, server_of
from stack.state import Settings
from stack.swarm.engine_client import engine_errors

Say = Callable[[str], None]
_PATIENCE = 30


def require_reader(
    client: docker.DockerClient, settings: Settings, present: str, wanted: str, named: str, say: Say
) -> Settings:
    """The settings with the server in the image `wanted`, whose name is `named`.

    Raises StackError when it is not known to read what the previous server has written: the one that is remembered,
    else the one in `present`, the image that the service has now ("": there is none, and so no data).
    """
    if settings.redis_server and settings.redis_reference == wanted:
        return settings
    server = _server_in(client, wanted)
    before = _remembered(settings) or (_server_in(client, present) if present else None)
    if server and before and not can_read(server, before):
        raise StackError(
            f"the queue's data was written by {before}, and the image {named} holds {server}, which cannot read it. "
            f"Nothing was changed. REDIS_IMAGE names another image: one with {before}, or a newer {before.name}."
        )
    if present and not (server and before):
        say(f"redis: cannot tell whether the server in {named} reads the data of the one before")
    return replace(settings, redis_reference=wanted, redis_server=str(server or ""))


def _remembered(settings: Settings) -> QueueServer | None:
    name, _, version = settings.redis_server.partition(" ")
    return QueueServer(name, version) if version else None


def _server_in(client: docker.DockerClient, image: str) -> QueueServer | None:
    """What the image's server says it is; None when this engine cannot run it."""
    with engine_errors(f"ask the image {image} which server it holds"):
        try:
            shown = _output(client, image, ["redis-server", "--version"])
        except docker_errors.APIError:
            return None
    return server_of(shown.decode("utf-8", "replace"))


def _output(client: docker.DockerClient, image: str, command: list[str]) -> bytes:
    containers: Any = client.containers
    container = containers.create(image, command, network_mode="none")
    try:
        container.start()
        container.wait(timeout=_PATIENCE)
        return bytes(container.logs())
    finally:
        # With the volume that Redis's own image asks for.
        container.remove(v=True, force=True)
