"""`services.NAME.environment` and `.env_file` of the compose file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.compose.reader import Section, Unusable, as_text


@dataclass(frozen=True)
class ComposeContext:
    """Where the file lies, and the caller's variables."""

    folder: Path
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Environment:
    """`unset`: names without a value here; a container gets them not even from its image."""

    values: Mapping[str, str]
    unset: tuple[str, ...]


def read_environment(section: Section, context: ComposeContext) -> Environment:
    """What the files say, then what the section says; a name without a value has the caller's. Raises Unusable that
    names the place."""
    found: dict[str, str | None] = {}
    for number, name in enumerate(section.text_or_texts("env_file")):
        read = _file(context.folder / name, f"{section.at('env_file')}[{number}]")
        # Here a name that the caller has no value for is ignored, as by Docker.
        found |= {name: value for name, value in read.items() if value is not None or name in context.variables}
    found |= _inline(section)
    given = {name: context.variables.get(name) if value is None else value for name, value in found.items()}
    values = {name: value for name, value in given.items() if value is not None}
    return Environment(values, tuple(sorted(set(given) - set(values))))


def _inline(section: Section) -> dict[str, str | None]:
    path = section.at("environment")
    value: Any = section.take("environment", {})
    if isinstance(value, list):
        return dict(_pair(as_text(item, f"{path}[{number}]"), f"{path}[{number}]") for number, item in enumerate(value))
    entry = Section(value, path)
    return {name: entry.text(name) if entry.has(name) else None for name in entry.names()}


def _file(file: Path, path: str) -> dict[str, str | None]:
    """Lines of NAME=VALUE, as Docker reads them: quotes and what follows a value belong to it."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise Unusable(f"{path}: cannot read {file}: {exc}") from exc
    wanted = [(number, line.lstrip()) for number, line in enumerate(lines, 1)]
    return dict(_pair(line, f"{path}: {file.name}:{number}") for number, line in wanted if line and line[0] != "#")


def _pair(text: str, path: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    if not name or any(character.isspace() for character in name):
        raise Unusable(f"{path}: expected KEY=VALUE or KEY, got {text!r}")
    return name, value if sign else None
