"""Interpreters of other versions of Python on this machine. Standard library only: ./test imports it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HELP = (
    "One of these helps: apt-get install python{0}-venv (where the distribution has it), pyenv install {0}, "
    "uv python install {0}."
)

# What it prints is its own path: what PATH has may be a shim, which picks another version in another folder.
_SHOW = "import ensurepip, sys, venv; print(sys._base_executable, '%d.%d' % sys.version_info[:2])"


def find_interpreter(version: str) -> str:
    """The path of a Python of this version (3.12) that can make virtual environments; empty when there is none."""
    return next((path for program in _candidates(version) if (path := _real_path(program, version))), "")


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if program := shutil.which(f"python{version}"):
        yield program
    if (pyenv := shutil.which("pyenv")) and (folder := _said([pyenv, "prefix", version])):
        yield str(Path(folder, "bin", "python"))
    if (uv := shutil.which("uv")) and (program := _said([uv, "python", "find", "--no-python-downloads", version])):
        yield program


def _real_path(program: str, version: str) -> str:
    path, _, found = _said([program, "-c", _SHOW]).rpartition(" ")
    return path if found == version else ""


def _said(command: list[str]) -> str:
    """What it prints; nothing when it fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            timeout=30, check=True,
        ).stdout.strip()  # fmt: skip
    return ""
