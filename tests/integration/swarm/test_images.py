"""Images, built on a real engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from stack.errors import StackError
from stack.swarm.build_context import BuildContext
from stack.swarm.building import BuildFailed
from stack.swarm.images import (
    CODE_LABEL,
    ensure_image,
    ensure_stack_image,
    remove_built,
    remove_superseded,
)
from tests.support.base_image import NAME as BASE
from tests.support.docker_engine import DockerEngine
from tests.support.images import has_image

DOCKERFILE = b"FROM scratch\nCOPY . /\n"


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client()) as client:
        yield client
        remove_built(client, lambda line: None)


@pytest.fixture
def said() -> list[str]:
    return []


def context(content: bytes, dockerfile: bytes = DOCKERFILE) -> BuildContext:
    return BuildContext({"Dockerfile": dockerfile, "file": content})


def test_the_stacks_image_is_built_once_for_a_code(
    client: docker.DockerClient, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text('ARG BASE=nowhere\nFROM $BASE\nCOPY gateway /gateway\nCMD ["x"]\n')
    (tmp_path / ".dockerignore").write_text("*\n!gateway\n")
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__main__.py").write_text("1")
    first = ensure_stack_image(client, tmp_path, "swarmfn:latest", BASE, said.append)
    assert first.name == f"swarmfn:{first.code}"
    assert client.images.get("swarmfn:latest").id == client.images.get(first.name).id == first.id
    assert client.images.get(first.name).labels[CODE_LABEL] == first.code
    assert any("step 3/" in line and "COPY gateway" in line for line in said), said

    said.clear()
    (tmp_path / "notes.txt").write_text("not part of the image")
    (tmp_path / "gateway" / "__pycache__").mkdir()
    (tmp_path / "gateway" / "__pycache__" / "x.pyc").write_text("neither")
    assert ensure_stack_image(client, tmp_path, "swarmfn:latest", BASE, said.append) == first
    assert said == []

    (tmp_path / "gateway" / "__main__.py").write_text("2")
    second = ensure_stack_image(client, tmp_path, "swarmfn:latest", BASE, said.append)
    assert second.id != first.id
    assert client.images.get("swarmfn:latest").id == second.id
    assert has_image(client, first.name), "services may return to it"


def test_a_step_that_fails_is_shown_with_its_last_lines(client: docker.DockerClient, said: list[str]) -> None:
    dockerfile = f"FROM {BASE}\nRUN echo about to fail; echo no such package >&2; exit 7\n".encode()
    with pytest.raises(BuildFailed) as caught:
        ensure_image(client, "swarmfn/broken:latest", context(b"", dockerfile), said.append)
    assert "cannot build the image swarmfn/broken:" in str(caught.value)
    assert "step 2/3 (RUN echo about to fail" in str(caught.value)
    assert "returned a non-zero code: 7" in str(caught.value)
    assert "\n  | about to fail\n  | no such package" in str(caught.value)
    assert not has_image(client, "swarmfn/broken:latest")
    assert not client.containers.list(all=True, filters={"status": "exited"}), "nothing is left of a failed step"


def test_a_base_image_that_is_not_to_be_had_is_said(client: docker.DockerClient, said: list[str]) -> None:
    dockerfile = b"FROM 127.0.0.1:9/nobody/base:1\n"
    with pytest.raises(BuildFailed, match="SWARMFN_BASE_IMAGE names another one"):
        ensure_image(client, "swarmfn/baseless:latest", context(b"", dockerfile), said.append)


def test_a_dockerfile_with_a_mistake_is_a_failed_build(client: docker.DockerClient, said: list[str]) -> None:
    with pytest.raises(BuildFailed, match="unknown instruction: FORM"):
        ensure_image(client, "swarmfn/typo:latest", context(b"", b"FORM scratch\n"), said.append)


def test_a_folder_without_a_dockerfile_is_said(client: docker.DockerClient, said: list[str], tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"there is no Dockerfile in {tmp_path}"):
        ensure_stack_image(client, tmp_path, "swarmfn:latest", "", said.append)


def test_superseded_images_go_and_others_stay(client: docker.DockerClient, said: list[str]) -> None:
    olds = [ensure_image(client, "swarmfn/one:latest", context(f"{n}".encode()), said.append) for n in range(3)]
    new = ensure_image(client, "swarmfn/one:latest", context(b"new"), said.append)
    derived = context(b"of a user", f"FROM {olds[1].name}\nCOPY . /\n".encode())
    client.api.tag(_build_as_a_user(client, derived), "someones/function", "1")

    assert sorted(remove_superseded(client, keep=[olds[0].name])) == sorted(old.name for old in olds[1:])
    assert has_image(client, olds[0].name)
    assert has_image(client, new.name)
    assert has_image(client, "someones/function:1")

    assert set(remove_built(client, said.append)) == {olds[0].name, new.name, "swarmfn/one:latest"}
    assert has_image(client, "someones/function:1"), "it inherits our label and is not ours"
    client.images.remove("someones/function:1")
    client.images.remove("someones/function:build")


def test_an_image_in_use_is_left_for_the_next_time(client: docker.DockerClient, said: list[str]) -> None:
    dockerfile = f'FROM {BASE}\nCOPY . /\nCMD ["python3", "-c", "input()"]\n'.encode()
    old = ensure_image(client, "swarmfn/used:latest", context(b"old", dockerfile), said.append)
    ensure_image(client, "swarmfn/used:latest", context(b"new", dockerfile), said.append)
    container = client.containers.run(old.name, detach=True, stdin_open=True)
    assert remove_superseded(client, keep=()) == []
    container.remove(force=True)
    assert remove_superseded(client, keep=()) == [old.name]


def _build_as_a_user(client: docker.DockerClient, made_from: BuildContext) -> str:
    with made_from.archive() as archive:
        image, _ = client.images.build(fileobj=archive, custom_context=True, tag="someones/function:build")
    return str(image.id)
