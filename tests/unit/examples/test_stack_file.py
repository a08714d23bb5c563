"""examples/stack.yml: in faas-cli's format, and true about the folders beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarmfn.wire.functions import FunctionSpec

NAMES = ["echo", "wordcount", "sleep", "markdown", "thumbnail", "notify"]


@pytest.fixture(scope="module")
def stack(examples: Path) -> dict[str, Any]:
    document = yaml.safe_load((examples / "stack.yml").read_text())
    assert isinstance(document, dict)
    return document


def test_it_names_the_format_the_provider_and_the_gateway(stack: dict[str, Any]) -> None:
    assert float(stack["version"]) == 1.0
    assert stack["provider"] == {"name": "openfaas", "gateway": "http://127.0.0.1:8080"}


def test_every_function_has_a_folder_and_every_folder_is_a_function(stack: dict[str, Any], examples: Path) -> None:
    folders = {path.name for path in examples.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    assert set(stack["functions"]) == folders == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_deployable_and_says_where_its_code_is(stack: dict[str, Any], examples: Path, name: str) -> None:
    function = stack["functions"][name]
    assert function["handler"] == f"./{name}"
    assert function["image"] == f"swarmfn/{name}:latest"
    assert function["lang"]
    spec = FunctionSpec.from_json(
        {"service": name, "image": function["image"], "envProcess": function.get("fprocess", "")}
    )
    assert spec.name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_what_runs_there(stack: dict[str, Any], examples: Path, name: str) -> None:
    has_handler = (examples / name / "handler.py").exists()
    dockerfile = examples / name / "Dockerfile"
    has_command = dockerfile.exists() and "ENV fprocess=" in dockerfile.read_text()
    ways = [has_handler, has_command, bool(stack["functions"][name].get("fprocess"))]
    assert ways.count(True) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_file_beside_a_function_says_the_same_as_the_one_for_all(
    stack: dict[str, Any], examples: Path, name: str
) -> None:
    alone = yaml.safe_load((examples / name / "stack.yml").read_text())
    assert alone == {**stack, "functions": {name: {**stack["functions"][name], "handler": "."}}}


def test_every_requirement_is_pinned(examples: Path) -> None:
    lines = [line for path in examples.glob("*/requirements.txt") for line in path.read_text().splitlines()]
    assert lines
    assert all("==" in line for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("body", [b"", b"one two\nthree", bytes(range(256)) * 300])
def test_echo_and_wordcount_are_the_commands_they_claim_to_be(stack: dict[str, Any], body: bytes) -> None:
    def run(name: str) -> bytes:
        return subprocess.run(stack["functions"][name]["fprocess"].split(" "), input=body, capture_output=True).stdout

    assert run("echo") == body
    lines, _, size = (int(number) for number in run("wordcount").split())
    assert (lines, size) == (body.count(b"\n"), len(body))
