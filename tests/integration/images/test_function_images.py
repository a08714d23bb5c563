"""The example functions as containers, built from their folders by the templates."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest
import requests
import yaml

from stack.function_images import build_recipe
from tests.support import images
from tests.support.containers import Running, Start
from tests.support.docker_engine import DockerEngine
from tests.support.processes import REPOSITORY
from tests.support.waiting import wait_until

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def examples(docker_engine: DockerEngine, start: Start) -> dict[str, Running]:
    """All of them, started at once."""
    described: dict[str, Any] = yaml.safe_load((EXAMPLES / "stack.yml").read_text())["functions"]
    built = images.example_images(docker_engine)
    running = {}
    for name, function in described.items():
        environment = {"healthcheck_interval": "0"}
        if "fprocess" in function:
            environment["fprocess"] = function["fprocess"]
        running[name] = start(built[name], environment=environment)
    return running


def call(function: Running, body: bytes = b"", path: str = "/") -> requests.Response:
    return requests.post(function.url() + path, data=body, timeout=30)


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(width)) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_all_are_healthy_and_none_is_root(examples: dict[str, Running]) -> None:
    for function in examples.values():
        assert requests.get(f"{function.url()}/_/health", timeout=5).text == "OK"
        assert "Uid:\t1000" in function.run("cat", "/proc/1/status")


def test_echo(examples: dict[str, Running]) -> None:
    body = bytes(range(256)) * 1000
    assert call(examples["echo"], body).content == body


def test_wordcount(examples: dict[str, Running]) -> None:
    assert call(examples["wordcount"], b"one two\nthree").text.split() == ["1", "3", "13"]


def test_sleep(examples: dict[str, Running]) -> None:
    assert call(examples["sleep"], b"0.1").text == "slept 0.1 seconds\n"


def test_markdown_has_its_dependency(examples: dict[str, Running]) -> None:
    assert "<h1>Hello</h1>" in call(examples["markdown"], b"# Hello").text


def test_thumbnail_has_its_dependency(examples: dict[str, Running]) -> None:
    answer = call(examples["thumbnail"], png(640, 480), "/?width=64")
    assert struct.unpack(">II", answer.content[16:24]) == (64, 48)


def test_notify_keeps_its_record_in_tmp(examples: dict[str, Running]) -> None:
    assert call(examples["notify"], b"news").status_code == 200
    listed = requests.get(examples["notify"].url(), timeout=30)
    assert [entry["text"] for entry in json.loads(listed.content)["callbacks"]] == ["news"]


def test_a_function_is_unhealthy_while_its_lock_is_gone(examples: dict[str, Running]) -> None:
    echo = examples["echo"]
    echo.url()
    echo.run("rm", "/tmp/.lock")
    wait_until(lambda: echo.health == "unhealthy", 30, every=0.2)
    echo.run("touch", "/tmp/.lock")
    echo.url()


def test_it_ends_with_0_when_told_to_stop(examples: dict[str, Running]) -> None:
    wordcount = examples["wordcount"]
    wordcount.url()
    assert wordcount.stop() == 0, wordcount.log()


def test_the_programs_of_a_function_see_nothing_of_the_watchdog(docker_engine: DockerEngine, start: Start) -> None:
    # fprocess is split at spaces.
    command = "python3 -c import\tfwatchdog"
    image = images.example_images(docker_engine)["echo"]
    answer = call(start(image, environment={"fprocess": command}))
    assert answer.status_code == 500
    assert "No module named 'fwatchdog'" in answer.text


@pytest.mark.parametrize("lang", ["python3", "python3-http", "python3-wsgi", "python3-asgi"])
def test_a_template_works_as_it_is(docker_engine: DockerEngine, start: Start, lang: str) -> None:
    """Its own `function` folder is where faas-cli's `new` starts from."""
    recipe = build_recipe(
        REPOSITORY / "template" / lang / "function", lang, REPOSITORY, images.watchdog_image(docker_engine)
    )
    image = images.build(docker_engine, f"tests/{lang}", recipe)
    function = start(image, environment={"healthcheck_interval": "0"})
    assert call(function, b"you").text == "hello you"
    assert "Uid:\t1000" in function.run("cat", "/proc/1/status")
    assert function.stop() == 0, function.log()


def test_python_templates_take_a_handler_of_the_classic_shape(
    docker_engine: DockerEngine, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "classic-shape"
    folder.mkdir()
    (folder / "handler.py").write_text("def handle(req):\n    return req.upper()\n")
    image = images.function_image(docker_engine, folder)
    assert call(start(image), b"loud").text == "LOUD"


TIMEOUTS = """
ARG BASE
FROM ${BASE}
ENV fprocess="xargs sleep"
ENV read_timeout=2
ENV write_timeout=9
ENV exec_timeout=3
ENV healthcheck_interval=0
"""


def test_the_timeouts_in_a_functions_dockerfile_hold(docker_engine: DockerEngine, start: Start, tmp_path: Path) -> None:
    """Seconds, as ENV lines: what the guide on asynchronous functions tells their authors to write."""
    folder = tmp_path / "timeouts"
    folder.mkdir()
    (folder / "Dockerfile").write_text(TIMEOUTS)
    function = start(images.function_image(docker_engine, folder, "dockerfile"))
    address = urlsplit(function.url())
    with socket.create_connection((address.hostname, address.port), timeout=60) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 10\r\n\r\nhalf")
        assert slow.recv(65536).startswith(b"HTTP/1.1 408 ")
    killed = call(function, b"60")
    assert (killed.status_code, killed.text) == (408, "Killed process.\n")
    assert 3 <= float(killed.headers["X-Duration-Seconds"]) < 60
    # What runs when the container is told to stop may end, within write_timeout.
    with socket.create_connection((address.hostname, address.port), timeout=60) as running:
        running.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 1\r\n\r\n2")
        wait_until(lambda: "sleep" in function.run("sh", "-c", "cat /proc/[0-9]*/cmdline"))
        assert function.stop() == 0, function.log()
        assert running.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_additional_packages_are_installed(docker_engine: DockerEngine, start: Start) -> None:
    folder = REPOSITORY / "template" / "python3-http" / "function"
    watchdog = images.watchdog_image(docker_engine)
    recipe = build_recipe(folder, "python3-http", REPOSITORY, watchdog, {"ADDITIONAL_PACKAGE": "tree"})
    image = images.build(docker_engine, "tests/additional-package", recipe)
    assert start(image).run("tree", "--version").startswith("tree ")


def test_a_folder_that_faas_cli_has_put_together_is_a_context(
    docker_engine: DockerEngine, client: docker.DockerClient, start: Start, tmp_path: Path
) -> None:
    """The template with the function's files over it, in folders that only their owner reads."""
    context = tmp_path / "greet"
    shutil.copytree(REPOSITORY / "template" / "python3-http", context)
    (context / "function" / "handler.py").write_text(
        "from .words import HELLO\n\n\ndef handle(req):\n    return HELLO\n"
    )
    (context / "function" / "words.py").write_text("HELLO = 'hello'\n")
    for path in (context / "function", *(context / "function").iterdir()):
        path.chmod(0o700 if path.is_dir() else 0o600)
    arguments = {"BASE": images.watchdog_image(docker_engine)}
    client.images.build(path=str(context), tag="tests/faas-cli", buildargs=arguments, rm=True)
    assert call(start("tests/faas-cli")).text == "hello"
