"""Images on engines of the tests' own: those that `up` builds of the code as it is now are built once, on a template
whose data engines start with."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from stack.build_recipes import Recipe, stack_recipe, watchdog_recipe
from stack.function_files import load_sources
from stack.function_images import build_recipe
from stack.swarm.images import (
    STACK_IMAGE,
    FunctionSource,
    ensure_function_images,
    ensure_image,
    ensure_stack_image,
    ensure_watchdog_image,
    remove_superseded,
)
from tests.support import base_image as base
from tests.support.docker_engine import DockerEngine
from tests.support.processes import REPOSITORY

_SECONDS = 600
_KEPT = 4
_LONG_UNUSED = 3600.0


def base_image(engine: DockerEngine) -> str:
    """The name of the base image, which is then on the engine."""
    with _client(engine) as client:
        if not has_image(client, base.NAME):
            with base.base_archive().open("rb") as archive:
                client.images.load(archive)
    return base.NAME


def with_base(data: Path) -> None:
    """Puts the base image into the data folder of an engine that has not started yet: loading it takes an engine ten
    times as long as this takes."""
    _copy(_base_template(), data)


def with_ours(data: Path) -> None:
    """The same with all that `up` builds: the images of the stack, of the watchdog and of the examples."""
    _copy(_template_of_ours(), data)


def stack_image(engine: DockerEngine) -> str:
    """The image of the gateway and the worker, from the code as it is now."""
    with _client(engine) as client:
        return ensure_stack_image(client, REPOSITORY, STACK_IMAGE, base_image(engine), _say_nothing).name


def watchdog_image(engine: DockerEngine) -> str:
    """The image that functions start from, from the code as it is now."""
    with _client(engine) as client:
        return ensure_watchdog_image(client, REPOSITORY, base_image(engine), _say_nothing).name


def example_images(engine: DockerEngine) -> dict[str, str]:
    """The images of the example functions by their names."""
    with _client(engine) as client:
        images, problems = ensure_function_images(client, _examples(), REPOSITORY, base_image(engine), _say_nothing)
        assert not problems, problems
        return images


def function_image(engine: DockerEngine, folder: Path, lang: str = "python3-http") -> str:
    """The image of the function in `folder`, on our watchdog."""
    return build(engine, f"tests/{folder.name}", build_recipe(folder, lang, REPOSITORY, watchdog_image(engine)))


def build(engine: DockerEngine, repository: str, recipe: Recipe) -> str:
    """The name of the image that `recipe` makes, a name that changes with what is in it."""
    with _client(engine) as client:
        return ensure_image(client, repository, lambda: recipe, _say_nothing).name


def has_image(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _client(engine: DockerEngine) -> contextlib.closing[docker.DockerClient]:
    return contextlib.closing(engine.client(_SECONDS))


def _say_nothing(line: str) -> None:
    pass


def _examples() -> list[FunctionSource]:
    sources = load_sources(REPOSITORY / "examples" / "stack.yml")
    return [FunctionSource(name, one.folder, one.lang, one.build_args) for name, one in sources.items()]


def _copy(template: Path, data: Path) -> None:
    """The files of the layers are linked, since engines only ever read and unlink them."""
    data.mkdir(parents=True)
    for folder, how in (("image", "-a"), ("overlay2", "-al")):
        copy = ["cp", how, str(template / folder), str(data)]
        if subprocess.run(copy, capture_output=True).returncode:  # on another disk there are no links
            shutil.rmtree(data / folder, ignore_errors=True)
            subprocess.run(["cp", "-a", str(template / folder), str(data)], check=True)


def _base_template() -> Path:
    """What an engine with nothing but the base image has kept; made once for this image and this Docker."""
    archive = base.base_archive()
    version = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout
    template = archive.with_name(f"{archive.stem}-{hashlib.sha256(version.encode()).hexdigest()[:8]}.data")
    return _made(template, None, base_image)


def _template_of_ours() -> Path:
    """The same with our images, for the code as it is now. The layers that still hold are taken from the template that
    was made last."""
    bare = _base_template()
    template = bare.with_name(f"{bare.stem}-{_digest_of_ours()}.data")
    earlier = [found for found in _by_age(f"{bare.stem}-*.data") if found != template]

    def fill(data: Path) -> None:
        _copy(earlier[-1] if earlier else bare, data)

    def build_all(engine: DockerEngine) -> None:
        stack_image(engine)
        example_images(engine)
        with _client(engine) as client:
            remove_superseded(client, ())

    return _made(template, fill, build_all)


def _digest_of_ours() -> str:
    watchdog = watchdog_recipe(REPOSITORY, base.NAME)
    parts = [stack_recipe(REPOSITORY, base.NAME).content_hash(), watchdog.content_hash()]
    for one in _examples():
        parts.append(build_recipe(one.folder, one.lang, REPOSITORY, "watchdog", one.build_args).content_hash())
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]


def _made(template: Path, fill: Callable[[Path], None] | None, put: Callable[[DockerEngine], object]) -> Path:
    """The template, made unless it is there: what an engine has kept that began with `fill` and had `put` done to it.

    Others that were not used for a while are removed."""
    with base.locked(template):
        if not template.exists():
            for old in _by_age("base-*.data")[:-_KEPT]:
                if time.time() - old.stat().st_mtime > _LONG_UNUSED:
                    shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="base-", dir=template.parent) as folder:
                with DockerEngine("template", Path(folder), fill=fill) as engine:
                    put(engine)
                    engine.stop()
                    # Before `close` removes it.
                    kept = Path(folder, "kept")
                    kept.mkdir()
                    for name in ("image", "overlay2"):
                        (engine.root / "data" / name).rename(kept / name)
                kept.rename(template)
        os.utime(template)
    return template


def _by_age(pattern: str) -> list[Path]:
    """Templates, the one that was not used for longest first."""
    found = []
    for path in base.cache_folder().glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # another run may remove it
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]
