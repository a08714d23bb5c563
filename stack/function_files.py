"""A stack.yml in faas-cli's format: functions that run from their folders here, and those to build images of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stack.errors import StackError
from swarmfn.wire.errors import FaasError
from swarmfn.wire.functions import FunctionSpec

SOURCE_ANNOTATION = "com.swarmfn.source"
"""A hash of the function's folder: with it, a change of its code is a change of its spec."""

_MODES = {"python3-wsgi": "wsgi", "python3-asgi": "asgi"}
"""What the templates' images have in their environment, for functions that run from their folders."""


@dataclass(frozen=True)
class Source:
    """Where a function's code is, the template that its image is made with, and the arguments of that build."""

    lang: str
    folder: Path
    build_args: Mapping[str, str] = field(default_factory=dict)


def load_sources(path: Path) -> dict[str, Source]:
    """The source of each function in the file. Raises StackError naming the place."""
    return {
        name: Source(
            str(entry.get("lang", "dockerfile")),
            (path.parent / str(entry["handler"])).resolve(),
            {key: str(value) for key, value in entry.get("build_args", {}).items()},
        )
        for name, entry in _entries(path).items()
    }


def load_functions(path: Path) -> list[FunctionSpec]:
    """The functions in the file, each with its handler's folder as its image. Raises StackError naming the place."""
    try:
        return [_function(name, entry, path.parent.resolve()) for name, entry in _entries(path).items()]
    except (OSError, KeyError, TypeError, AttributeError) as exc:
        raise StackError(f"cannot read the functions in {path}: {exc!r}") from exc
    except FaasError as exc:
        raise StackError(f"{path}: {exc}") from exc


def _entries(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        entries = yaml.safe_load(path.read_text())["functions"]
        return {name: entry or {} for name, entry in entries.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as exc:
        raise StackError(f"cannot read the functions in {path}: {exc!r}") from exc


def _function(name: str, entry: Mapping[str, Any], base: Path) -> FunctionSpec:
    folder = (base / str(entry["handler"])).resolve()
    mode = _MODES.get(entry.get("lang", ""))
    environment = {**({"mode": mode} if mode else {}), **entry.get("environment", {})}
    return FunctionSpec.from_json(
        {
            "service": name,
            "image": f"dir:{folder}",
            "envProcess": entry.get("fprocess", ""),
            "envVars": {key: str(value) for key, value in environment.items()},
            "labels": entry.get("labels", {}),
            "annotations": {**entry.get("annotations", {}), SOURCE_ANNOTATION: source_hash(folder)},
            "secrets": entry.get("secrets", []),
            "limits": entry.get("limits", {}),
            "requests": entry.get("requests", {}),
        }
    )


def source_hash(folder: Path) -> str:
    """Changes with the name or content of any file in the folder, compiled Python aside."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
