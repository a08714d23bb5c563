"""What a folder's requirements.txt asks for, and which virtual environment that makes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from swarmfn.provider.local import contents
from swarmfn.provider.local.environment import machine_python

REQUIREMENTS = "requirements.txt"


def key_for(folder: Path, is_isolated: bool) -> str:
    """Names the environment that the folder's requirements need, the same for equal requirements.

    Without requirements: an empty one if `is_isolated`, else "", this machine's own Python.
    """
    text = requirements(folder)
    if not text and not is_isolated:
        return ""
    rest = [sys.version, machine_python()]
    if _names_files(text):
        rest += [str(folder), contents.fingerprint(folder)]
    return f"{_digest(text)}-{_digest(*rest)}"


def is_for(key: str, text: str) -> bool:
    """Whether `key` names an environment for these requirements."""
    return key.split("-")[0] == _digest(text)


def requirements(folder: Path) -> str:
    """The lines that ask for something; "" if there are none."""
    try:
        lines = (folder / REQUIREMENTS).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def _names_files(text: str) -> bool:
    """Whether the requirements may refer to files beside them, and so mean something else in another folder."""
    lines = text.splitlines()
    return any(line.startswith("-") or ("/" in line and "://" not in line) or "file:" in line for line in lines)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
