"""docker-compose.swarm.yml as data: the services, with values from the environment put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack.errors import ComposeFileError
from swarmfn.wire.durations import parse_duration

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)(?::-([^{}]*))?\})")


@dataclass(frozen=True)
class Service:
    """One service. `stop_grace_period` is in seconds; `command` is empty where the image's own is used."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    replicas: int
    stop_grace_period: float


def load_services(path: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services in the compose file by name. Raises ComposeFileError that names the place."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as exc:
        raise ComposeFileError(f"cannot read {path}: {exc}") from exc
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise ComposeFileError(f"{path}: there is no mapping `services`.")
    try:
        return {name: _service(name, substitute(entry, variables)) for name, entry in services.items()}
    except (ValueError, TypeError, AttributeError) as exc:
        raise ComposeFileError(f"{path}: {exc}") from exc


def substitute(value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with `${NAME}` and `${NAME:-default}` replaced in every text; `$$` stands for one dollar sign.

    An empty variable counts as missing, as it does for Docker.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _replacement(match, variables), value)
    if isinstance(value, list):
        return [substitute(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: substitute(item, variables) for key, item in value.items()}
    return value


def _replacement(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, default = match.groups()
    return "$" if name is None else variables.get(name) or default or ""


def _service(name: str, entry: Mapping[str, Any]) -> Service:
    deploy = entry.get("deploy", {})
    return Service(
        name=name,
        command=tuple(str(word) for word in entry.get("command", [])),
        environment={key: _text(value) for key, value in entry.get("environment", {}).items()},
        replicas=_replicas(name, deploy.get("replicas", 1)),
        stop_grace_period=parse_duration(str(entry.get("stop_grace_period", "10s"))),
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _replicas(name: str, value: Any) -> int:
    if not str(value).isdigit():
        raise ValueError(f"services.{name}.deploy.replicas: expected a whole number, got {value!r}")
    return int(value)
