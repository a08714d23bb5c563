"""A Lua script of this folder, put together from its file and what the file declares: arguments and prelude."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

_FOLDER = files(__package__)
_SHEBANG = "#!lua"
_PRELUDE = re.compile(r"^-- prelude: (.*)$", re.MULTILINE)
_NAMES = r"^-- %s: ((?:.*,\n--   )*.*)$"


class BadPrelude(Exception):
    """A file needs a part of the prelude that is not there, or that comes too late."""


@dataclass(frozen=True)
class Script:
    """One Lua script, called by its SHA-1. arguments: the names of those that come once; items: of the values of each
    item; rest: of a list of values at the end."""

    text: str
    arguments: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    rest: str = ""
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())

    def words(self, items: Iterable[Any] = (), /, **arguments: Any) -> list[Any]:
        """What Redis is sent: the arguments, then the items, each a mapping of names to values, or the list's values.
        Raises KeyError or TypeError unless the names are exactly those of the script."""
        words = _in_order(self.arguments, arguments)
        if not self.items:
            return words + list(items)
        for item in items:
            words += _in_order(self.items, item)
        return words


def load(name: str) -> Script:
    """The script in NAME.lua. Its first line may be Redis's own `#!lua flags=…`; its comment may have a line
    `-- prelude: PART, …`: those files of prelude/ come before it, in that order. Raises BadPrelude.

    The names in its comment are Lua's and Python's: `-- arguments: NAME, …` are local variables, `-- items: NAME, …`
    fields of the table that each item is for prelude/each.lua, `-- list: NAME` is a table of all that follows."""
    first, text = _split_shebang(_FOLDER.joinpath(f"{name}.lua").read_text("utf-8"))
    parts = prelude_of(text)
    for number, part in enumerate(parts):
        if missing := [needed for needed in prelude_of(_part(part)) if needed not in parts[:number]]:
            raise BadPrelude(f"{name}.lua: {part} needs {', '.join(missing)} before it")
    arguments, items, rest = (_declared(word, text) for word in ("arguments", "items", "list"))
    before = _locals(arguments, items, "".join(rest))
    whole = first + "".join([before, *map(_part, parts), text])
    return Script(whole, arguments, items, "".join(rest))


def _declared(word: str, text: str) -> tuple[str, ...]:
    found = re.search(_NAMES % word, text, re.MULTILINE)
    if found is None or found[1] == "none":
        return ()
    return tuple(name.strip(" \n-") for name in found[1].split(","))


def _locals(arguments: tuple[str, ...], items: tuple[str, ...], rest: str) -> str:
    """The Lua that gives the arguments their names."""
    after = len(arguments) + 1
    lines = []
    if arguments:
        values = ", ".join(f"ARGV[{number}]" for number in range(1, after))
        lines.append(f"local {', '.join(arguments)} = {values}")
    if items:
        fields = ", ".join(f"{name} = ARGV[i+{number}]" for number, name in enumerate(items))
        lines.append(f"local FIRST_ITEM, ITEM_WIDTH = {after}, {len(items)}")
        lines.append(f"local function item_at(i) return {{{fields}}} end")
    if rest:
        lines.append(f"local {rest} = {{}}")
        lines.append(f"for i = {after}, #ARGV do {rest}[i-{after - 1}] = ARGV[i] end")
    return "".join(f"{line}\n" for line in lines)


def _in_order(names: tuple[str, ...], values: Mapping[str, Any]) -> list[Any]:
    if len(values) != len(names):
        raise TypeError(f"a script wants {', '.join(names)}, not {', '.join(values)}")
    return [values[name] for name in names]


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
