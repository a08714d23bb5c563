"""The image that a service names: one that cannot become another behind its back."""

from __future__ import annotations

from collections.abc import Callable

import docker
from docker import errors as docker_errors

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.registry import is_same_repository, pull
from swarmfn.provider.swarm.documents import ImageDocument


def pinned(client: docker.DockerClient, image: str, say: Callable[[str], None]) -> str:
    """`image` with its digest where a registry has it, else its id: that starts without asking a registry, which may
    have something else under the name. An image that is not on the engine is pulled first. Raises StackError."""
    if "@" in image or image.startswith("sha256:"):
        return image
    found = _inspect(client, image)
    if found is None:
        pull(client, image, say)
        found = _inspect(client, image)
    return reference(image, found)


def reference(image: str, inspected: ImageDocument | None) -> str:
    """The reference, from what the engine says of the image."""
    if inspected is None:
        return image
    for digest in inspected.get("RepoDigests") or ():
        if is_same_repository(image, digest):
            return f"{image}@{digest.partition('@')[2]}"
    return inspected["Id"]


def is_local_only(reference: str) -> bool:
    """Whether other nodes cannot pull it."""
    return reference.startswith("sha256:")


def _inspect(client: docker.DockerClient, image: str) -> ImageDocument | None:
    api = api_of(client)
    with engine_errors(f"look for the image {image}"):
        try:
            return api.inspect_image(image)
        except docker_errors.ImageNotFound:
            return None
