"""A Lua script of this folder, put together from its file and what the file declares: arguments, names and prelude."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from swarmfn.jobs import keys
from swarmfn.jobs.layout import CALLBACK_QUEUE, RUN_FIELDS
from swarmfn.wire.priorities import priority_queues

_FOLDER = files(__package__)
_SHEBANG = "#!lua"
_PRELUDE = re.compile(r"^-- prelude: (.*)$", re.MULTILINE)
_NAMES = r"^-- %s: ((?:.*,\n--   )*.*)$"
_KEYS: dict[str, str] = {name: value for name, value in vars(keys).items() if name.isupper()}
_CONSTANTS: dict[str, str | tuple[str, ...]] = {
    "CALLBACKS": CALLBACK_QUEUE,
    "PRIORITY_SUFFIXES": priority_queues(""),
    "RUN_FIELDS": RUN_FIELDS,
}
"""What else Lua and Python both know. CALLBACKS: what queues of deliveries begin with; PRIORITY_SUFFIXES: what the
names of the queues for each priority end in; RUN_FIELDS: what a run leaves in the job's hash."""


class BadScript(Exception):
    """A file needs a part of the prelude that is not there or that comes too late, or names what there is not."""


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
    `-- prelude: PART, …`: those files of prelude/ come before it, in that order. Raises BadScript.

    The names in its comment are Lua's and Python's. Those after `-- keys:` are of swarmfn/jobs/keys.py, after
    `-- constants:` of this module; after `-- arguments:` they are local variables, after `-- items:` fields of
    the table that each item is for prelude/each.lua; `-- list: NAME` is a table of all that follows."""
    first, text = _split_shebang(_FOLDER.joinpath(f"{name}.lua").read_text("utf-8"))
    parts = prelude_of(text)
    for number, part in enumerate(parts):
        if missing := [needed for needed in prelude_of(_part(part)) if needed not in parts[:number]]:
            raise BadScript(f"{name}.lua: {part} needs {', '.join(missing)} before it")
    arguments, items, rest = (_declared(word, text) for word in ("arguments", "items", "list"))
    texts = [*map(_part, parts), text]
    whole = first + "".join([_names(name, texts), _locals(arguments, items, "".join(rest)), *texts])
    return Script(whole, arguments, items, "".join(rest))


def _declared(word: str, text: str) -> tuple[str, ...]:
    found = re.search(_NAMES % word, text, re.MULTILINE)
    if found is None or found[1] == "none":
        return ()
    return tuple(name.strip(" \n-") for name in found[1].split(","))


def _names(script: str, texts: Iterable[str]) -> str:
    """The Lua that gives the keys and constants of a script and its prelude their names."""
    known: dict[str, str | tuple[str, ...]] = {}
    for text in texts:
        for word, there in (("keys", _KEYS), ("constants", _CONSTANTS)):
            names = _declared(word, text)
            if unknown := [name for name in names if name not in there]:
                raise BadScript(f"{script}.lua: there are no {word} called {', '.join(unknown)}")
            known |= {name: there[name] for name in names}
    if not known:
        return ""
    return f"local {', '.join(known)} = {', '.join(map(_lua, known.values()))}\n"


def _lua(value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "{" + ", ".join(map(_lua, value)) + "}"


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
        raise BadScript(f"there is no prelude/{name}.lua")
    return part.read_text("utf-8")


def _split_shebang(text: str) -> tuple[str, str]:
    if not text.startswith(_SHEBANG):
        return "", text
    first, _, rest = text.partition("\n")
    return first + "\n", rest
