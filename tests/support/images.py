"""Images on engines of the tests' own: built once, then kept between runs as archives named for their content."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker
from docker.errors import BuildError, ImageNotFound

from stack.build_recipes import Recipe, stack_recipe, watchdog_recipe
from stack.function_images import build_recipe
from tests.support import base_image as base
from tests.support.docker_engine import DockerEngine
from tests.support.processes import REPOSITORY

_SECONDS = 600
_KEPT = 6


def base_image(engine: DockerEngine) -> str:
    """The name of the base image, which is then on the engine."""
    with contextlib.closing(engine.client(_SECONDS)) as client:
        if not has_image(client, base.NAME):
            with base.base_archive().open("rb") as archive:
                client.images.load(archive)
    return base.NAME


def with_base(data: Path) -> None:
    """Puts the base image into the data folder of an engine that has not started yet: loading it takes an engine ten
    times as long as this takes. The files of the layers are linked, since engines only ever read and unlink them."""
    template = _template()
    data.mkdir(parents=True)
    for folder, how in (("image", "-a"), ("overlay2", "-al")):
        copy = ["cp", how, str(template / folder), str(data)]
        if subprocess.run(copy, capture_output=True).returncode:  # on another disk there are no links
            shutil.rmtree(data / folder, ignore_errors=True)
            subprocess.run(["cp", "-a", str(template / folder), str(data)], check=True)


def _template() -> Path:
    """What an engine with nothing but the base image has kept; made once for this image and this Docker."""
    archive = base.base_archive()
    version = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout
    template = archive.with_name(f"{archive.stem}-{hashlib.sha256(version.encode()).hexdigest()[:8]}.data")
    with base.locked(template):
        if not template.exists():
            for old in archive.parent.glob("base-*.data"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(prefix="base-", dir=archive.parent) as folder:
                with DockerEngine("template", Path(folder)) as engine:
                    base_image(engine)
                    engine.stop()
                    # Before `close` removes it.
                    kept = Path(folder, "kept")
                    kept.mkdir()
                    for name in ("image", "overlay2"):
                        (engine.root / "data" / name).rename(kept / name)
                kept.rename(template)
    return template


def stack_image(engine: DockerEngine) -> str:
    """The image of the gateway and the worker, from the code as it is now."""
    return build(engine, "tests/stack", stack_recipe(REPOSITORY, base_image(engine)), base.NAME)


def watchdog_image(engine: DockerEngine) -> str:
    """The image that functions start from, from the code as it is now."""
    return build(engine, "tests/watchdog", watchdog_recipe(REPOSITORY, base_image(engine)), base.NAME)


def function_image(engine: DockerEngine, folder: Path, lang: str = "python3-http") -> str:
    """The image of the function in `folder`, on our watchdog."""
    watchdog = watchdog_image(engine)
    return build(engine, f"tests/{folder.name}", build_recipe(folder, lang, REPOSITORY, watchdog), watchdog)


def has_image(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def build(engine: DockerEngine, repository: str, recipe: Recipe, parent: str) -> str:
    """The name of the image that `recipe` makes of `parent`, a name that changes with what is in it."""
    with contextlib.closing(engine.client(_SECONDS)) as client:
        # What is kept fits only on the very parent that it was made of: made again, that is another.
        parent_id = client.images.get(parent).id.removeprefix("sha256:")
        name = f"{repository}:{recipe.content_hash()}-{parent_id[:12]}"
        if has_image(client, name):
            return name
        folder = base.cache_folder()
        stem = f"image-{repository.replace('/', '-')}"
        archive = folder / f"{stem}-{name.rpartition(':')[2]}.tar"
        with base.locked(folder / stem):
            kept = sorted(folder.glob(f"{stem}-*.tar"), key=lambda file: file.stat().st_mtime)
            if archive in kept:
                archive.touch()
                client.images.load(archive.read_bytes())
            else:
                # The layers that still hold are taken from the image that was made last.
                _build(client, name, recipe, _loaded(client, kept[-1:]))
                _keep(client, name, parent, archive)
                for old in kept[: 1 - _KEPT]:
                    old.unlink()
    return name


def _build(client: docker.DockerClient, name: str, recipe: Recipe, earlier: list[str]) -> None:
    context = io.BytesIO(recipe.archive())
    options = {"custom_context": True, "tag": name, "buildargs": dict(recipe.build_args), "cache_from": earlier}
    try:
        client.images.build(fileobj=context, rm=True, forcerm=True, **options)
    except BuildError as exc:
        said = "".join(line.get("stream", "") for line in exc.build_log)
        raise AssertionError(f"{name} cannot be built: {exc}\n{said[-4000:]}") from exc


def _loaded(client: docker.DockerClient, archives: list[Path]) -> list[str]:
    """The images in these archives, as far as the base that they were made on is here."""
    names = []
    for archive in archives:
        with contextlib.suppress(docker.errors.ImageLoadError, docker.errors.APIError):
            names += [image.tags[0] for image in client.images.load(archive.read_bytes())]
    return names


def _keep(client: docker.DockerClient, name: str, parent: str, archive: Path) -> None:
    """Saves the image without the layers of its parent: an engine does not ask for those that it has."""
    inherited = len(client.images.get(parent).attrs["RootFS"]["Layers"])
    saved = io.BytesIO(b"".join(client.images.get(name).save(named=name)))
    partial = archive.with_suffix(".partial")
    with tarfile.open(fileobj=saved) as whole, tarfile.open(partial, "w") as own:
        manifest = json.load(whole.extractfile("manifest.json"))  # type: ignore[arg-type]
        left_out = set(manifest[0]["Layers"][:inherited])
        for entry in whole:
            if entry.name not in left_out:
                own.addfile(entry, whole.extractfile(entry) if entry.isfile() else None)
    partial.rename(archive)
