"""What a Dockerfile's ENV lines say, for functions that run from their folder instead of an image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_INSTRUCTION = re.compile(r"\s*(\w+)\s+(.*)", re.DOTALL)
_FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+as\s+(\S+))?\s*", re.IGNORECASE)
_KEY = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)=")
_REFERENCE = re.compile(r"\\\$|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::(?P<sign>[-+])(?P<word>[^}]*))?\})")


def environment(dockerfile: str) -> dict[str, str]:
    """The variables that the last stage sets with ENV, in both of its forms.

    References to earlier ENV and ARG values are filled in, as a build would. Values of a base image from elsewhere
    are not known and count as unset.
    """
    stages: dict[str, dict[str, str]] = {}
    variables: dict[str, str] = {}
    arguments: dict[str, str] = {}
    for instruction, rest in _instructions(dockerfile):
        known = {**arguments, **variables}
        if instruction == "FROM" and (match := _FROM.fullmatch(rest)):
            variables = dict(stages.get(match.group(1).lower(), {}))
            if match.group(2):
                stages[match.group(2).lower()] = variables
        elif instruction == "ENV":
            variables.update(_pairs(rest, known))
        elif instruction == "ARG" and "=" in rest:
            arguments.update(_pairs(rest, known))
    return variables


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Each instruction in capitals with its arguments, continued lines joined; comments between them are dropped."""
    pending = ""
    for line in dockerfile.splitlines():
        if line.lstrip().startswith("#") or (pending and not line.strip()):
            continue
        stripped = line.rstrip()
        if stripped.endswith("\\"):
            pending += stripped[:-1]
            continue
        if match := _INSTRUCTION.fullmatch(pending + stripped):
            yield match.group(1).upper(), match.group(2)
        pending = ""
    if match := _INSTRUCTION.fullmatch(pending):
        yield match.group(1).upper(), match.group(2)


def _pairs(text: str, known: Mapping[str, str]) -> dict[str, str]:
    if _KEY.match(text) is None:
        name, _, value = text.strip().partition(" ")
        return {name: _filled_in(value.strip(), known)} if value else {}
    pairs = {}
    position = 0
    while match := _KEY.match(text, position):
        value, position = _word(text, match.end(), known)
        pairs[match.group(1)] = value
    return pairs


def _word(text: str, position: int, known: Mapping[str, str]) -> tuple[str, int]:
    """The value that starts at `position`, freed of quotes and backslashes, and where it ends."""
    value = ""
    quote = ""
    plain = ""
    while position < len(text) and (quote or not text[position].isspace()):
        char = text[position]
        if char == "\\" and quote != "'" and position + 1 < len(text):
            # `\$` stays for _filled_in, which knows that it is not a reference.
            plain += text[position : position + 2] if text[position + 1] == "$" else text[position + 1]
            position += 1
        elif char in "\"'" and quote in ("", char):
            value += plain if quote == "'" else _filled_in(plain, known)
            plain = ""
            quote = "" if quote else char
        else:
            plain += char
        position += 1
    return value + _filled_in(plain, known), position


def _filled_in(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group() == "\\$":
            return "$"
        current = known.get(match.group("plain") or match.group("name"), "")
        word = match.group("word") or ""
        if match.group("sign") == "+":
            return word if current else ""
        return current or word

    return _REFERENCE.sub(value, text)
