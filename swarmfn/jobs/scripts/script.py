"""A Lua script of this folder, put together from its file and the prelude that the file declares."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

_FOLDER = files(__package__)
_SHEBANG = "#!lua"
_PRELUDE = re.compile(r"^-- prelude: (.*)$", re.MULTILINE)


class BadPrelude(Exception):
    """A file needs a part of the prelude that is not there, or that comes too late."""


@dataclass(frozen=True)
class Script:
    """One Lua script, called by its SHA-1."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


def load(name: str) -> Script:
    """The script in NAME.lua. Its first line may be Redis's own `#!lua flags=…`; its comment may have a line
    `-- prelude: PART, …`: those files of prelude/ come before it, in that order. Raises BadPrelude."""
    first, text = _split_shebang(_FOLDER.joinpath(f"{name}.lua").read_text("utf-8"))
    parts = prelude_of(text)
    for number, part in enumerate(parts):
        if missing := [needed for needed in prelude_of(_part(part)) if needed not in parts[:number]]:
            raise BadPrelude(f"{name}.lua: {part} needs {', '.join(missing)} before it")
    return Script(first + "".join([*map(_part, parts), text]))


def prelude_of(text: str) -> list[str]:
    """The parts of the prelude that a file says it needs, in their order."""
    declared = _PRELUDE.search(text)
    return declared[1].split(", ") if declared else []


@cache
def _part(name: str) -> str:
    part = _FOLDER.joinpath("prelude", f"{name}.lua")
    if not part.is_file():
        raise BadPrelude(f"there is no prelude/{name}.lua")
    return part.read_text("utf-8")


def _split_shebang(text: str) -> tuple[str, str]:
    if not text.startswith(_SHEBANG):
        return "", text
    first, _, rest = text.partition("\n")
    return first + "\n", rest
