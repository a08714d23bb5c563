"""Images on engines of the tests' own."""

from __future__ import annotations

import contextlib

import docker
from docker.errors import ImageNotFound

from tests.support import base_image as base
from tests.support.docker_engine import DockerEngine


def base_image(engine: DockerEngine) -> str:
    """The name of the base image, which is then on the engine."""
    with contextlib.closing(engine.client(timeout=300)) as client:
        if not has_image(client, base.NAME):
            repository, _, tag = base.NAME.partition(":")
            client.api.import_image_from_file(
                str(base.base_archive()), repository=repository, tag=tag, changes=list(base.CHANGES)
            )
    return base.NAME


def has_image(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True
