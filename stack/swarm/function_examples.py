"""The example functions on a Swarm: their images built, then deployed through the gateway as a user would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker

from stack.credentials import Credentials
from stack.examples import deploy_examples, refuse_unhealthy
from stack.function_files import load_functions, load_sources
from stack.gateway_client import GatewayClient
from stack.swarm.images import FunctionSource, ensure_function_images
from stack.swarm.placement import Placement
from stack.swarm.services import StackServices


def deploy_swarm_examples(
    client: docker.DockerClient,
    root: Path,
    base_image: str,
    address: str,
    credentials: Credentials,
    placement: Placement,
    say: Callable[[str], None],
) -> bool:
    """Whether anything was deployed. Raises StackError; DeployFailed for examples that are not healthy."""
    stack_file = root / "examples" / "stack.yml"
    sources = [
        FunctionSource(name, one.folder, one.lang, one.build_args) for name, one in load_sources(stack_file).items()
    ]
    images = ensure_function_images(client, sources, root, base_image, say)
    functions = [
        replace(
            one,
            image=_published(client, images[one.name], placement, say),
            constraints=(*one.constraints, *placement.constraints),
        )
        for one in load_functions(stack_file)
    ]
    services = StackServices(client, "")

    def problem_of(name: str) -> str:
        found = services.find(name)
        tasks = services.tasks(found.id) if found else []
        return next((task.error for task in tasks if task.error), "")

    with GatewayClient(address, credentials) as gateway:
        has_changed, problems = deploy_examples(gateway, functions, problem_of, say)
    refuse_unhealthy(problems)
    return has_changed


def _published(client: docker.DockerClient, image: str, placement: Placement, say: Callable[[str], None]) -> str:
    if not placement.registry:
        placement.check(client, image, client.images.get(image).id or "")
    return placement.publish(client, image, image, say)
