"""The example functions on a Swarm: their images built, then deployed through the gateway as a user would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker

from stack.credentials import Credentials
from stack.errors import StackError
from stack.examples import deploy_examples
from stack.function_files import load_functions, load_sources
from stack.gateway_client import GatewayClient
from stack.swarm.images import FunctionSource, ensure_function_images
from stack.swarm.placement import Placement
from swarmfn.wire.functions import FunctionSpec


def deploy_swarm_examples(
    client: docker.DockerClient,
    root: Path,
    base_image: str,
    address: str,
    credentials: Credentials,
    placement: Placement,
    say: Callable[[str], None],
) -> tuple[bool, dict[str, str]]:
    """Whether any was changed, and the problem of each that does not serve as described. Raises StackError."""
    stack_file = root / "examples" / "stack.yml"
    sources = [
        FunctionSource(name, one.folder, one.lang, one.build_args) for name, one in load_sources(stack_file).items()
    ]
    images, problems = ensure_function_images(client, sources, root, base_image, say)
    functions = []
    for one in load_functions(stack_file):
        try:
            if one.name in images:
                functions.append(_placed(client, one, images[one.name], placement, say))
        except StackError as exc:
            problems[one.name] = str(exc)
    with GatewayClient(address, credentials) as gateway:
        has_changed, more = deploy_examples(gateway, functions, say)
    return has_changed, problems | more


def _placed(
    client: docker.DockerClient,
    function: FunctionSpec,
    image: str,
    placement: Placement,
    say: Callable[[str], None],
) -> FunctionSpec:
    constraints = (*function.constraints, *placement.constraints)
    return replace(function, image=_published(client, image, placement, say), constraints=constraints)


def _published(client: docker.DockerClient, image: str, placement: Placement, say: Callable[[str], None]) -> str:
    if not placement.registry:
        placement.check(client, image, client.images.get(image).id or "")
    return placement.publish(client, image, image, say)
