"""This program: whether it runs from a checkout or from an installed package, and what follows from that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Holds the programs, the compose file, the templates and the examples, in a checkout and installed alike."""

IS_INSTALLED = not (ROOT / "deploy_extended.py").exists()

COMMAND = "swarmfn" if IS_INSTALLED else "python3 deploy_extended.py"
"""What a user types to run it."""


def state_directory(is_installed: bool = IS_INSTALLED, environ: Mapping[str, str] = os.environ) -> Path:
    """Where state is kept unless `--state-dir` says otherwise: beside a checkout; for an installed program where the
    XDG Base Directory Specification has it, so that another user of the machine has another."""
    if not is_installed:
        return ROOT / ".swarmfn"
    # A relative path is to be taken for unset (section 2 there).
    home = Path(environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "state") / "swarmfn"
