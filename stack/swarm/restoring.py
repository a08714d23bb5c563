"""Making a service from a spec that was kept."""

from __future__ import annotations

from collections.abc import Callable

import docker
from docker import auth
from docker import errors as docker_errors

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from swarmfn.provider.swarm.documents import ServiceSpec


def make_service(client: docker.DockerClient, name: str, spec: ServiceSpec, say: Callable[[str], None]) -> bool:
    """Whether the service was made; False where one of the name is there."""
    image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    with engine_errors("make its service"):
        try:
            api_of(client).create_service(
                spec["TaskTemplate"],
                name=spec["Name"],
                labels=spec.get("Labels"),
                mode=spec.get("Mode"),
                update_config=spec.get("UpdateConfig"),
                rollback_config=spec.get("RollbackConfig"),
                endpoint_spec=spec.get("EndpointSpec"),
            )
        except docker_errors.APIError as exc:
            if exc.response is None or exc.response.status_code != 409:
                raise
            say(f"{name}: it was deployed again in the meantime, and stays as it is")
            return False
        login_is_lost = is_in_registry(image) and not _has_login(client, image) and not _is_here(client, image)
    hint = f"; if {image} needs a login, deploy the function again: that cannot be kept" if login_is_lost else ""
    say(f"{name}: restored{hint}")
    return True


def is_in_registry(image: str) -> bool:
    """Whether an image names a registry other than the public one: where a login is likely."""
    registry, _ = auth.resolve_repository_name(image)
    return bool(registry != auth.INDEX_NAME)


def _has_login(client: docker.DockerClient, image: str) -> bool:
    """Whether the user who runs this is logged in at the image's registry: docker-py passes that on."""
    registry, _ = auth.resolve_repository_name(image)
    return auth.get_config_header(client.api, registry) is not None


def _is_here(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except docker_errors.ImageNotFound:
        return False
    return True
