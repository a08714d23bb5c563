"""Which engine to use: a Docker Engine is looked for, and what was found is said."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from stack.errors import NoEngine

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_PATIENCE = 2.0


def choose_engine(asked: str, variables: Mapping[str, str]) -> str:
    """One line on the engine that is used and why. Raises NoEngine for one that this release cannot use."""
    if asked == "swarm":
        raise NoEngine("Swarm deployment is not part of this release yet; use --engine local.")
    if asked == "local":
        return "engine: local processes, supervised on this machine"
    host = variables.get("DOCKER_HOST") or DEFAULT_SOCKET
    if answers(host):
        return (
            f"engine: a Docker Engine answers at {host}, but Swarm deployment is not part of this release yet; "
            "running local processes, supervised on this machine"
        )
    return f"engine: no Docker Engine answers at {host}; running local processes, supervised on this machine"


def answers(host: str) -> bool:
    """Whether something accepts connections at a DOCKER_HOST such as `unix:///var/run/docker.sock` or `tcp://h:2375`."""
    parts = urlsplit(host)
    try:
        if parts.scheme == "unix":
            return _connects(socket.AF_UNIX, parts.path)
        if parts.scheme in ("tcp", "http", "https") and parts.hostname:
            socket.create_connection((parts.hostname, parts.port or 2375), timeout=_PATIENCE).close()
            return True
    except (OSError, ValueError):
        return False
    return False


def _connects(family: socket.AddressFamily, path: str) -> bool:
    if not Path(path).exists():
        return False
    with socket.socket(family) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
    return True
