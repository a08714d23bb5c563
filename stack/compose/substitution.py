"""`$NAME` and `${NAME}` in the compose file: replaced by values of the environment, as Compose has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stack.compose.reader import Unusable

# Only ASCII: a letter such as é ends a name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")


def substitute(value: Any, variables: Mapping[str, str], path: str = "") -> Any:
    """`value` with the references in every text replaced; `$$` stands for one dollar sign.

    Raises Unusable, with the path of the place in the file, for a form that is not known: left as it is, it would be a
    setting with a wrong value.
    """
    if isinstance(value, str):
        return _Text(value, variables, path).replaced() if "$" in value else value
    if isinstance(value, list):
        return [substitute(item, variables, f"{path}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: substitute(item, variables, f"{path}.{key}" if path else str(key)) for key, item in value.items()}
    return value


class _Text:
    """One text, read from left to right."""

    def __init__(self, text: str, variables: Mapping[str, str], path: str) -> None:
        self._text = text
        self._variables = variables
        self._path = path
        self._at = 0

    def replaced(self) -> str:
        return self._piece(is_inner=False, is_used=True)

    def _piece(self, is_inner: bool, is_used: bool) -> str:
        """Up to the end, or to the brace that closes the reference it is in. In one that is not used, such as the
        default of a variable that is set, nothing is required."""
        found: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if is_inner and character == "}":
                break
            self._at += 1
            found.append(self._reference(is_used) if character == "$" else character)
        return "".join(found)

    def _reference(self, is_used: bool) -> str:
        start = self._at - 1
        if self._text.startswith("$", self._at):
            self._at += 1
            return "$"
        is_braced = self._text.startswith("{", self._at)
        self._at += is_braced
        name = _NAME.match(self._text, self._at)
        if name is None:
            raise self._unknown(start)
        self._at = name.end()
        if not is_braced:
            self._refuse_ambiguity(name[0])
            return self._variables.get(name[0], "")
        operator = _OPERATOR.match(self._text, self._at)
        value = self._operated(name[0], operator[0], is_used) if operator else self._variables.get(name[0], "")
        if not self._text.startswith("}", self._at):
            raise self._unknown(start)
        self._at += 1
        return value

    def _operated(self, name: str, operator: str, is_used: bool) -> str:
        self._at += len(operator)
        value = self._variables.get(name)
        # With a colon an empty variable counts as missing.
        is_given = bool(value) if operator[0] == ":" else value is not None
        word = self._piece(is_inner=True, is_used=is_used and is_given == (operator[-1] == "+"))
        if operator[-1] == "+":
            return word if is_given else ""
        if is_given:
            return value or ""
        if operator[-1] == "?" and is_used:
            raise Unusable(f"{self._path}: the variable {name} is not set{f': {word}' if word else ''}")
        return word

    def _refuse_ambiguity(self, name: str) -> None:
        """For Docker's own command `$A-b c` is A with the default "b c", for everybody else A and then "-b c"."""
        if re.match(r":?[-?]", self._text[self._at :]):
            raise Unusable(f"{self._path}: ${name} and what follows can be read in two ways. Write ${{{name}}} there")

    def _unknown(self, start: int) -> Unusable:
        return Unusable(
            f"{self._path}: {self._text[start : start + 40]!r} is not a reference such as $NAME or ${{NAME:-default}}. "
            "Write a literal dollar sign as $$"
        )
