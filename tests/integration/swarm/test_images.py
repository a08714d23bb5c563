"""Images, built on a real engine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from stack.build_recipes import Recipe
from stack.errors import StackError
from stack.swarm.building import BuildFailed
from stack.swarm.images import (
    CODE_LABEL,
    FunctionSource,
    ImageRef,
    ensure_function_images,
    ensure_image,
    ensure_stack_image,
    remove_built,
    remove_superseded,
)
from tests.support.base_image import NAME as BASE
from tests.support.images import has_image
from tests.support.processes import REPOSITORY

DOCKERFILE = "FROM scratch\nCOPY . /\n"


@pytest.fixture(autouse=True)
def no_images(client: docker.DockerClient) -> Iterator[None]:
    """Nothing that a test has built is there for the next one."""
    yield
    remove_built(client, (), lambda line: None)


@pytest.fixture
def said() -> list[str]:
    return []


def ensure(
    client: docker.DockerClient, image: str, said: list[str], content: bytes = b"", dockerfile: str = DOCKERFILE
) -> ImageRef:
    return ensure_image(client, image, lambda: Recipe(dockerfile, {"file": content}), said.append)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of little content."""
    (tmp_path / "Dockerfile").write_text("ARG BASE=nowhere\nFROM $BASE\nCOPY gateway /gateway\n")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "sbom.cdx.json").write_text("{}")
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__main__.py").write_text("1")
    return tmp_path


def test_the_stacks_image_is_built_once_for_a_code(client: docker.DockerClient, said: list[str], root: Path) -> None:
    first = ensure_stack_image(client, root, "swarmfn:latest", BASE, said.append)
    assert first.name == f"swarmfn:{first.code}"
    assert client.images.get("swarmfn:latest").id == client.images.get(first.name).id == first.id
    assert client.images.get(first.name).labels[CODE_LABEL] == first.code
    assert said == ["swarmfn:latest: building", "swarmfn:latest: built"]

    said.clear()
    (root / "notes.txt").write_text("not part of the image")
    assert ensure_stack_image(client, root, "swarmfn:latest", BASE, said.append) == first
    assert said == []

    (root / "gateway" / "__main__.py").write_text("2")
    second = ensure_stack_image(client, root, "swarmfn:latest", BASE, said.append)
    assert second.id != first.id
    assert client.images.get("swarmfn:latest").id == second.id
    assert has_image(client, first.name), "services may return to it"

    (root / "gateway" / "__main__.py").write_text("1")
    said.clear()
    assert ensure_stack_image(client, root, "swarmfn:latest", BASE, said.append) == first
    assert client.images.get("swarmfn:latest").id == first.id
    assert said == []


def test_functions_get_an_image_each_with_the_watchdog(client: docker.DockerClient, said: list[str]) -> None:
    examples = REPOSITORY / "examples"
    functions = [
        FunctionSource("echo", examples / "echo", "dockerfile"),
        FunctionSource("notify", examples / "notify", "python3-http"),
    ]
    images, problems = ensure_function_images(client, functions, REPOSITORY, BASE, said.append)
    assert problems == {}
    assert sorted(images) == ["echo", "notify"]
    for name, image in images.items():
        assert image.startswith(f"swarmfn/{name}:")
        assert "fwatchdog" in client.images.get(image).attrs["Config"]["Cmd"]
    said.clear()
    assert ensure_function_images(client, functions, REPOSITORY, BASE, said.append) == (images, {})
    assert said == []


def test_another_base_under_the_same_name_makes_another_image(client: docker.DockerClient, said: list[str]) -> None:
    def base(word: str) -> None:
        client.images.build(
            fileobj=io.BytesIO(f"FROM {BASE}\nRUN echo {word} > /base\n".encode()), tag="someones/base:1"
        )

    sources = [FunctionSource("echo", REPOSITORY / "examples" / "echo", "dockerfile")]
    base("one")
    first, _ = ensure_function_images(client, sources, REPOSITORY, "someones/base:1", said.append)
    watchdog = client.images.get("swarmfn/watchdog:latest").id
    said.clear()
    assert ensure_function_images(client, sources, REPOSITORY, "someones/base:1", said.append) == (first, {})
    assert said == []
    base("two")
    second, _ = ensure_function_images(client, sources, REPOSITORY, "someones/base:1", said.append)
    assert second["echo"] != first["echo"]
    assert client.images.get("swarmfn/watchdog:latest").id != watchdog
    content = client.containers.run(second["echo"], ["cat", "/base"], remove=True)
    assert content == b"two\n"
    client.images.remove("someones/base:1", force=True)


def exited(client: docker.DockerClient) -> set[str]:
    return {str(container.id) for container in client.containers.list(all=True, filters={"status": "exited"})}


def test_a_step_that_fails_is_shown_with_its_last_lines(client: docker.DockerClient, said: list[str]) -> None:
    before = exited(client)
    dockerfile = f"FROM {BASE}\nRUN echo about to fail >&2; echo no such package >&2; exit 7\n"
    with pytest.raises(BuildFailed) as caught:
        ensure(client, "swarmfn/broken:latest", said, dockerfile=dockerfile)
    assert "cannot build the image swarmfn/broken:" in str(caught.value)
    assert "step 2/3 (RUN echo about to fail" in str(caught.value)
    assert "returned a non-zero code: 7" in str(caught.value)
    assert "\n  | about to fail\n  | no such package" in str(caught.value)
    assert not has_image(client, "swarmfn/broken:latest")
    assert exited(client) <= before, "nothing is left of a failed step"


def test_a_base_image_that_is_not_to_be_had_is_said(client: docker.DockerClient, said: list[str]) -> None:
    dockerfile = "FROM 127.0.0.1:9/nobody/base:1\n"
    with pytest.raises(BuildFailed, match="SWARMFN_BASE_IMAGE names another one"):
        ensure(client, "swarmfn/baseless:latest", said, dockerfile=dockerfile)


def test_a_dockerfile_with_a_mistake_is_a_failed_build(client: docker.DockerClient, said: list[str]) -> None:
    with pytest.raises(BuildFailed, match="unknown instruction: FORM"):
        ensure(client, "swarmfn/typo:latest", said, dockerfile="FORM scratch\n")


def test_a_folder_without_a_dockerfile_is_said(client: docker.DockerClient, said: list[str], root: Path) -> None:
    (root / "Dockerfile").unlink()
    with pytest.raises(StackError, match=f"cannot build the image swarmfn:latest: .*{root}/Dockerfile"):
        ensure_stack_image(client, root, "swarmfn:latest", "", said.append)


def test_superseded_images_go_and_others_stay(client: docker.DockerClient, said: list[str]) -> None:
    olds = [ensure(client, "swarmfn/one:latest", said, f"{n}".encode()) for n in range(3)]
    new = ensure(client, "swarmfn/one:latest", said, b"new")
    derived = Recipe(f"FROM {olds[1].name}\nCOPY . /\n", {"file": b"of a user"})
    client.images.build(fileobj=io.BytesIO(derived.archive()), custom_context=True, tag="someones/function:1")

    assert sorted(remove_superseded(client, keep=[olds[0].name])) == sorted(old.name for old in olds[1:])
    assert has_image(client, olds[0].name)
    assert has_image(client, new.name)
    assert has_image(client, "someones/function:1")

    assert remove_built(client, [new.id, olds[0].name], said.append) == []
    assert f"{new.name}: kept, another stack uses it" in said
    assert all(has_image(client, name) for name in (new.name, olds[0].name, "swarmfn/one:latest"))
    assert set(remove_built(client, (), said.append)) == {olds[0].name, new.name, "swarmfn/one:latest"}
    assert has_image(client, "someones/function:1"), "it inherits our label and is not ours"
    client.images.remove("someones/function:1")


def test_an_image_in_use_is_left_for_the_next_time(client: docker.DockerClient, said: list[str]) -> None:
    dockerfile = f'FROM {BASE}\nCOPY . /\nCMD ["python3", "-c", "input()"]\n'
    old = ensure(client, "swarmfn/used:latest", said, b"old", dockerfile)
    ensure(client, "swarmfn/used:latest", said, b"new", dockerfile)
    container = client.containers.run(old.name, detach=True, stdin_open=True)
    assert remove_superseded(client, keep=()) == []
    container.remove(force=True)
    assert remove_superseded(client, keep=()) == [old.name]
