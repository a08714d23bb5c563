"""Reading a mapping of the compose file: every value has a type, and a key that nobody asked for is an error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from stack.compose.yaml_text import float_text
from swarmfn.wire.durations import parse_duration
from swarmfn.wire.quantities import parse_memory

_T = TypeVar("_T")
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Unusable(ValueError):
    """A value that cannot be used; the message begins with its path in the file."""


class Section:
    """A mapping at `path` of the file. Each method takes a key; `close` refuses the keys that were not taken."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            raise Unusable(f"{path or 'the file'}: expected a mapping, got {_shown(value)}")
        self.path = path
        self._value = value
        self._left = {str(key) for key in value}

    def close(self) -> None:
        """Raises Unusable that names the keys that nothing here knows. `x-…` keys are left to the format's users."""
        if left := sorted(key for key in self._left if not key.startswith("x-")):
            listed = ", ".join(self.at(key) for key in left)
            raise Unusable(f"{listed}: not supported here")

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether there is a value; an empty one (`key:`) counts as none."""
        return self._value.get(key) is not None

    def take(self, key: str, default: Any = None) -> Any:
        """The value as it is."""
        self._left.discard(key)
        value = self._value.get(key)
        return default if value is None else value

    def names(self) -> list[str]:
        """Its keys."""
        return [str(key) for key in self._value]

    def text(self, key: str, default: str = "") -> str:
        return as_text(self.take(key, default), self.at(key))

    def required_text(self, key: str) -> str:
        if not (value := self.text(key)):
            raise Unusable(f"{self.at(key)}: is missing")
        return value

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise Unusable(f"{self.at(key)}: expected {' or '.join(choices)}, got {value!r}")
        return value

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if str(value).lower() not in ("true", "false"):
            raise Unusable(f"{self.at(key)}: expected true or false, got {_shown(value)}")
        return str(value).lower() == "true"

    def integer(self, key: str, default: int) -> int:
        value = self.take(key, default)
        if isinstance(value, bool) or not str(value).isdigit():
            raise Unusable(f"{self.at(key)}: expected a whole number, got {_shown(value)}")
        return int(value)

    def signed(self, key: str) -> int:
        """A whole number that must be there; it may be -1, for no limit."""
        value = self.take(key)
        if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
            raise Unusable(f"{self.at(key)}: expected a whole number, got {_shown(value)}")
        return int(value)

    def number(self, key: str) -> float:
        value = self.take(key, 0)
        if not _NUMBER.fullmatch(str(value)):
            raise Unusable(f"{self.at(key)}: expected a number such as 0.5, got {_shown(value)}")
        return float(value)

    def duration(self, key: str, default: float) -> float:
        return self._parsed(key, default, parse_duration)

    def size(self, key: str) -> int:
        """Bytes. Whatever its case, M stands for 2**20 here: that is how Docker reads its own files."""
        return self._parsed(key, 0, lambda text: parse_memory(text.lower().removesuffix("b").removesuffix("i")))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(as_text(item, f"{self.at(key)}[{number}]") for number, item in enumerate(self.items(key)))

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text is a list of one."""
        return (self.text(key),) if isinstance(self.take(key), str) else self.texts(key)

    def items(self, key: str) -> Sequence[Any]:
        """A list of anything."""
        value = self.take(key, [])
        if not isinstance(value, list):
            raise Unusable(f"{self.at(key)}: expected a list, got {_shown(value)}")
        return value

    def text_map(self, key: str) -> dict[str, str]:
        """A mapping of texts; a list of KEY=VALUE means the same."""
        value = self.take(key, {})
        if isinstance(value, list):
            value = dict(_pair(item, f"{self.at(key)}[{number}]") for number, item in enumerate(value))
        if not isinstance(value, Mapping):
            raise Unusable(f"{self.at(key)}: expected a mapping, got {_shown(value)}")
        # `name:` with nothing behind it is an empty text.
        return {
            str(name): "" if item is None else as_text(item, f"{self.at(key)}.{name}") for name, item in value.items()
        }

    def section(self, key: str) -> Section:
        """The mapping at the key; an empty one where there is none."""
        return Section(self.take(key, {}), self.at(key))

    def sections(self, key: str) -> dict[str, Section]:
        """A mapping of mappings, such as `networks`; an empty entry is an empty mapping."""
        outer = self.section(key)
        return {name: Section(outer.take(name, {}), outer.at(name)) for name in outer.names()}

    def _parsed(self, key: str, default: _T, parse: Callable[[str], _T]) -> _T:
        value = self.take(key)
        if value is None:
            return default
        try:
            return parse(as_text(value, self.at(key)))
        except ValueError as exc:
            raise Unusable(f"{self.at(key)}: {exc}") from exc


def as_text(value: Any, path: str) -> str:
    """A scalar as text, as Docker writes it. Raises Unusable for a list or a mapping."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        return float_text(value)
    if isinstance(value, str | int):
        return str(value)
    raise Unusable(f"{path}: expected a text, got {_shown(value)}")


def _pair(item: Any, path: str) -> tuple[str, str]:
    name, sign, value = as_text(item, path).partition("=")
    if not sign:
        raise Unusable(f"{path}: expected KEY=VALUE, got {item!r}")
    return name, value


def _shown(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return kinds.get(type(value), repr(value))
