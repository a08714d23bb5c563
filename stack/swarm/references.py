"""The image that a service names: one that cannot become another behind its back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
from docker import errors as docker_errors

from stack.swarm.engine_client import engine_errors
from stack.swarm.registry import is_same_repository, pull


def pinned(client: docker.DockerClient, image: str, say: Any) -> str:
    """`image` with its digest where a registry has it, else its id: that starts without asking a registry, which may
    have something else under the name. An image that is not on the engine is pulled first. Raises StackError."""
    if "@" in image or image.startswith("sha256:"):
        return image
    found = _inspect(client, image)
    if found is None:
        pull(client, image, say)
        found = _inspect(client, image) or {}
    return reference(image, found)


def reference(image: str, inspected: Mapping[str, Any]) -> str:
    """The reference, from what the engine says of the image."""
    for digest in inspected.get("RepoDigests") or ():
        if is_same_repository(image, digest):
            return f"{image}@{digest.partition('@')[2]}"
    return str(inspected.get("Id") or image)


def is_local_only(reference: str) -> bool:
    """Whether other nodes cannot pull it."""
    return reference.startswith("sha256:")


def _inspect(client: docker.DockerClient, image: str) -> dict[str, Any] | None:
    api: Any = client.api
    with engine_errors(f"look for the image {image}"):
        try:
            return dict(api.inspect_image(image))
        except docker_errors.ImageNotFound:
            return None
