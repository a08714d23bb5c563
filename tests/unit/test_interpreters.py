"""Other versions of Python, as `./test --python` finds them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.interpreters import find_interpreter

THIS = "%d.%d" % sys.version_info[:2]  # noqa: UP031


def program(folder: Path, name: str, says: str, code: int = 0) -> None:
    """A program in `folder` that prints a line and ends."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    file.chmod(0o755)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which alone is searched."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_version_that_runs_is_there(on_path: Path) -> None:
    found = find_interpreter(THIS)
    assert os.path.samefile(found, sys._base_executable)  # type: ignore[attr-defined]  # no stub has it


def test_one_on_path_is_taken_for_what_it_says_that_it_is(on_path: Path) -> None:
    program(on_path, "python3.99", "/somewhere/python3.99 3.99")
    assert find_interpreter("3.99") == "/somewhere/python3.99"


@pytest.mark.parametrize(("says", "code"), [("/somewhere/python3.9 3.9", 0), ("/somewhere/python3.99 3.99", 1)])
def test_a_shim_that_leads_to_another_version_or_nowhere_is_left_alone(on_path: Path, says: str, code: int) -> None:
    program(on_path, "python3.99", says, code)
    assert find_interpreter("3.99") == ""


@pytest.mark.parametrize("manager", ["pyenv", "uv"])
def test_those_of_pyenv_and_uv_are_found(on_path: Path, tmp_path: Path, manager: str) -> None:
    python = tmp_path / "bin" / "python"
    program(on_path, "python", "/managed/python3.99 3.99")
    program(on_path, manager, str(tmp_path if manager == "pyenv" else python))
    assert find_interpreter("3.99") == "/managed/python3.99"


def test_where_there_is_none_the_answer_is_empty(on_path: Path) -> None:
    assert find_interpreter("3.99") == ""
