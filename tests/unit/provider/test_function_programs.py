"""What is run for a function, and what is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fwatchdog import settings as watchdog
from swarmfn.provider.local.function_programs import FORKING_MODES, IMPORTING_MODES, Program, program_for
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec, Resources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def function(folder: Path) -> FunctionSpec:
    return FunctionSpec("f", f"dir:{folder}")


def with_handler(folder: Path) -> None:
    (folder / "handler.py").write_text("def handle(req):\n    return req\n")


def test_the_modes_are_those_of_the_watchdog() -> None:
    assert {*IMPORTING_MODES} == {*watchdog.IN_WORKERS}
    assert {*FORKING_MODES} == {*watchdog.FORKING, watchdog.CLASSIC}


def test_a_folder_with_a_handler_runs_in_an_environment_of_its_own(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    program = program_for(function)
    assert (program.folder, program.command) == (str(folder), "")
    assert program.venv


def test_env_process_wins_over_fprocess_and_handler(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    (folder / "Dockerfile").write_text("FROM x\nENV fprocess=wc\n")
    assert program_for(function).command == "wc"
    assert program_for(replace(function, env_vars={"fprocess": "head"})).command == "head"
    assert program_for(replace(function, env_process="cat")).command == "cat"


def test_mode_python_wins_over_an_images_fprocess(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    (folder / "Dockerfile").write_text("FROM x\nENV fprocess=wc\n")
    assert program_for(replace(function, env_vars={"mode": "python"})).command == ""


def test_variables_of_the_images_file_system_are_ignored(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    (folder / "Dockerfile").write_text(
        "FROM x\nENV PATH=/home/app:$PATH HOME=/home/app PYTHONPATH=/x LD_PRELOAD=y a=1\n"
    )
    assert program_for(function).image_env == {"a": "1"}


def test_a_command_without_requirements_uses_the_machines_python(function: FunctionSpec) -> None:
    assert program_for(replace(function, env_process="cat")).venv == ""


def test_equal_requirements_share_an_environment(tmp_path: Path) -> None:
    keys = set()
    for name, text in (("one", "six==1.17.0\n"), ("two", "# a comment\n\n six==1.17.0")):
        (tmp_path / name).mkdir()
        with_handler(tmp_path / name)
        (tmp_path / name / "requirements.txt").write_text(text)
        keys.add(program_for(FunctionSpec(name, f"dir:{tmp_path / name}")).venv)
    assert len(keys) == 1


def test_requirements_that_name_files_are_not_shared(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with_handler(tmp_path / name)
        (tmp_path / name / "requirements.txt").write_text("./pkg\n")
        keys.add(program_for(FunctionSpec(name, f"dir:{tmp_path / name}")).venv)
    assert len(keys) == 2


def test_any_image_runs_with_env_process(function: FunctionSpec) -> None:
    assert program_for(FunctionSpec("f", "ghcr.io/x/y:1", env_process="cat")) == Program(command="cat")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"image": "alpine:3", "env_process": ""}, "image", "Docker Engine"),
        ({"image": "dir:relative/path"}, "image", "dir:/"),
        ({"image": "dir:/no/such/folder"}, "image", "no folder"),
        ({}, "image", "handler.py"),
        ({"env_process": "no-such-program -x"}, "envProcess", "no-such-program"),
        ({"env_process": "./missing.sh"}, "envProcess", "missing.sh"),
        ({"env_process": "tool"}, "envProcess", "./tool"),
        ({"env_process": "./plain.txt"}, "envProcess", "executable"),
        ({"env_process": "cat", "secrets": ("token",)}, "secrets", "cannot have secrets"),
        ({"env_process": "cat", "env_vars": {"mode": "http"}}, "envVars", 'mode "http"'),
        ({"env_process": "cat", "env_vars": {"mode": "static"}}, "envVars", 'mode "static"'),
        ({"env_vars": {"mode": "streaming"}}, "envVars", "nothing to run"),
        ({"env_vars": {"mode": "fork"}}, "envVars", "nothing to run"),
        ({"image": "x", "env_process": "cat", "env_vars": {"mode": "python"}}, "envVars", "nothing to run"),
    ],
)
def test_what_cannot_run_is_refused_by_field(
    function: FunctionSpec, folder: Path, changes: dict[str, Any], field: str, says: str
) -> None:
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    (folder / "plain.txt").write_text("")
    with pytest.raises(InvalidFunction) as caught:
        program_for(replace(function, **changes))
    assert caught.value.field == field
    assert says in str(caught.value)


def test_what_cannot_be_enforced_is_logged(function: FunctionSpec, caplog: pytest.LogCaptureFixture) -> None:
    limited = replace(
        function, env_process="cat", limits=Resources(memory="64Mi"), constraints=("node.role == worker",)
    )
    with caplog.at_level(logging.WARNING):
        program_for(limited)
    assert "constraints, limits cannot be enforced" in caplog.text


def test_a_program_survives_its_json(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    (folder / "Dockerfile").write_text("ENV a=1")
    program = program_for(function)
    assert Program.from_json(program.to_json()) == program


def test_only_what_replicas_see_makes_a_new_revision(function: FunctionSpec, folder: Path) -> None:
    with_handler(folder)
    program = program_for(function)
    revision = program.revision(function)
    assert program.revision(replace(function, labels={"team": "a"}, annotations={"topic": "t"})) == revision
    assert program.revision(replace(function, env_vars={"a": "b"})) != revision
    assert program.revision(replace(function, labels={"exec_timeout": "5s"})) != revision
    assert replace(program, contents="other").revision(function) != revision
