"""The images that the stack builds: the platform's own, the watchdog's, and those of the example functions.

Each is tagged with a digest of what it was built from, its base image too (`swarmfn:0c1d2e3f4a5b`), and carries that
digest as a label. A tag like that never changes its content, so a service that names it can be rolled back to what it
was, and whatever carries it is known to be ours: labels alone are inherited by every image built FROM one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker import errors as docker_errors
from docker.utils import parse_repository_tag

from stack.build_recipes import Recipe, stack_recipe, watchdog_recipe
from stack.errors import StackError
from stack.function_images import build_recipe
from stack.swarm.building import NO_BASE, BuildFailed, build
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.registry import pull
from swarmfn.provider.swarm.documents import ImageSummary, ServiceDocument, ServiceSpec

CODE_LABEL = "com.swarmfn.code"
"""On images: the digest of what they were built from."""

STACK_IMAGE = "swarmfn:latest"
WATCHDOG_IMAGE = "swarmfn/watchdog:latest"
LATEST = "latest"

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageRef:
    """An image on the engine. `name` ends in the digest of its content; `id` is Docker's (`sha256:…`): a service that
    names the id is started without asking a registry first."""

    name: str
    id: str
    code: str


@dataclass(frozen=True)
class FunctionSource:
    """A function to build: `lang` and `build_args` as in stack.yml, `folder` with its code."""

    name: str
    folder: Path
    lang: str
    build_args: Mapping[str, str] = field(default_factory=dict)


def ensure_stack_image(client: docker.DockerClient, root: Path, image: str, base: str, say: Say) -> ImageRef:
    """The image of gateway and worker for the code in `root`, built unless the engine has it.

    `image` (usually STACK_IMAGE) will name it too. `base` replaces the Dockerfile's own base image; "" does not.
    """
    return ensure_image(client, image, partial(stack_recipe, root, base), say)


def ensure_watchdog_image(client: docker.DockerClient, root: Path, base: str, say: Say) -> ImageRef:
    """The image that function images begin from, which has the watchdog."""
    return ensure_image(client, WATCHDOG_IMAGE, partial(watchdog_recipe, root, base), say)


def ensure_function_images(
    client: docker.DockerClient, functions: Iterable[FunctionSource], root: Path, base: str, say: Say
) -> tuple[dict[str, str], dict[str, str]]:
    """The image of each function by the function's name, built where the engine does not have it:
    `swarmfn/NAME:DIGEST`, so that a change of a function's code, or of the watchdog's, is a change of its image's name.
    And what is wrong with each whose image cannot be built.

    `base` is the base image of the watchdog's image.
    """
    images: dict[str, str] = {}
    problems: dict[str, str] = {}
    try:
        watchdog = ensure_watchdog_image(client, root, base, say).name
    except StackError as exc:
        return images, {one.name: str(exc) for one in functions}
    for one in functions:
        recipe_of = partial(build_recipe, one.folder, one.lang, root, watchdog, one.build_args)
        try:
            images[one.name] = ensure_image(client, f"swarmfn/{one.name}:{LATEST}", recipe_of, say).name
        except StackError as exc:
            problems[one.name] = str(exc)
    return images, problems


def ensure_image(client: docker.DockerClient, image: str, recipe_of: Callable[[], Recipe], say: Say) -> ImageRef:
    """The image that a recipe makes, built unless the engine has it. `image` will name it as well."""
    try:
        recipe = recipe_of()
        code = recipe.content_hash(_base_ids(client, image, recipe, say))
    except OSError as exc:
        raise StackError(f"cannot build the image {image}: {exc}") from exc
    repository, tag = parse_repository_tag(image)
    name = f"{repository}:{code}"
    found = _find(client, name)
    if found is None or (found["Config"].get("Labels") or {}).get(CODE_LABEL) != code:
        say(f"{image}: building")
        build(client, name, recipe, {CODE_LABEL: code}, say)
        found = _find(client, name)
        say(f"{image}: built")
    assert found is not None, f"{name} was built"
    _name(client, found["Id"], repository, tag or LATEST)
    return ImageRef(name, found["Id"], code)


def _base_ids(client: docker.DockerClient, image: str, recipe: Recipe, say: Say) -> list[str]:
    """What the names of the bases stand for now. A base that is not on the engine is pulled: else it would be another
    one after the build than before. Raises BuildFailed."""
    ids = []
    for base in recipe.bases():
        found = _find(client, base)
        if found is None:
            try:
                pull(client, base, say)
            except StackError as exc:
                raise BuildFailed(f"cannot build the image {image}: {exc}{NO_BASE}") from exc
            found = _find(client, base) or {}
        ids.append(str(found.get("Id", "")))
    return ids


def remove_superseded(client: docker.DockerClient, keep: Iterable[str]) -> list[str]:
    """Removes images of ours that have a newer one and are in `keep` neither by name nor by id; their names.

    One that a container still uses is left for the next time. `keep` has to name what services may return to.
    """
    with engine_errors("list the images"):
        images = api_of(client).images()
    kept = set(keep)
    removed = []
    for image in images:
        tags = own_tags(image)
        if tags and not _is_latest(image, tags) and image["Id"] not in kept and kept.isdisjoint(tags):
            removed += [tag for tag in tags if _remove(client, tag)]
    return removed


def remove_built(client: docker.DockerClient, keep: Iterable[str], say: Say) -> list[str]:
    """Removes every image that was built here and is in `keep` neither by name nor by id; their names. What cannot be
    removed is reported."""
    with engine_errors("list the images"):
        images = api_of(client).images()
    kept = set(keep)
    removed = []
    for image in images:
        tags = own_tags(image)
        if image["Id"] in kept or not kept.isdisjoint(image.get("RepoTags") or ()):
            for tag in tags:
                say(f"{tag}: kept, another stack uses it")
            continue
        aliases = [tag for tag in image.get("RepoTags") or () if tag in {_alias(own) for own in tags}]
        for tag in [*aliases, *tags]:
            if _remove(client, tag, force=True):
                removed.append(tag)
            else:
                say(f"{tag}: kept, a container uses it")
    return removed


def own_tags(image: ImageSummary) -> list[str]:
    """The tags of an image, as `GET /images/json` lists it, that show it to be built here."""
    code = (image.get("Labels") or {}).get(CODE_LABEL)
    return [tag for tag in image.get("RepoTags") or () if code and tag.endswith(f":{code}")]


def images_of(services: Iterable[ServiceDocument]) -> set[str]:
    """The images that services name, in their present and in their previous spec, without digests."""
    specs = (spec for service in services for spec in (service.get("Spec"), service.get("PreviousSpec")))
    return {name.partition("@")[0] for spec in specs if spec and (name := _image(spec))}


def _image(spec: ServiceSpec) -> str:
    """The empty text for a service that runs something else than containers."""
    template = spec.get("TaskTemplate")
    container = template.get("ContainerSpec") if template else None
    return container.get("Image", "") if container else ""


def _name(client: docker.DockerClient, image_id: str, repository: str, tag: str) -> None:
    present = _find(client, f"{repository}:{tag}")
    if present is None or present["Id"] != image_id:
        with engine_errors(f"name the image {repository}:{tag}"):
            api_of(client).tag(image_id, repository, tag, force=True)


def _find(client: docker.DockerClient, name: str) -> dict[str, Any] | None:
    with engine_errors(f"look for the image {name}"):
        try:
            return dict(client.images.get(name).attrs)
        except docker_errors.ImageNotFound:
            return None


def _remove(client: docker.DockerClient, tag: str, force: bool = False) -> bool:
    with engine_errors(f"remove the image {tag}"):
        try:
            api_of(client).remove_image(tag, force=force)
        except docker_errors.ImageNotFound:
            return False
        except docker_errors.APIError as exc:
            if exc.response is not None and exc.response.status_code == 409:
                return False
            raise
    return True


def _is_latest(image: ImageSummary, tags: Sequence[str]) -> bool:
    return any(_alias(tag) in (image.get("RepoTags") or ()) for tag in tags)


def _alias(tag: str) -> str:
    return f"{tag.rpartition(':')[0]}:{LATEST}"
