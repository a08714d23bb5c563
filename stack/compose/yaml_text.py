"""YAML as Docker's programs read it: `off`, `on`, `yes` and `no` are texts, and a key is there once.

PyYAML by itself reads YAML 1.1, where `off` is false and `1:30` is 90, and takes the last of two equal keys.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode

_INTEGER = re.compile(r"[-+]?(?:0[bB][01_]+|0o?[0-7_]+|0[xX][0-9a-fA-F_]+|[1-9][0-9_]*|0)$")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?$")


class _Loader(yaml.SafeLoader):
    """Safe: only plain values come out of it."""

    # Not those of YAML 1.1, which it would inherit.
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own form

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Here, because a mapping that is merged in later brings keys that may be there already."""
        node: MappingNode = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen:
                    raise yaml.YAMLError(
                        f"line {line}: the key {key.value!r} was already given in line {seen[key.value]}"
                    )
                seen[key.value] = line
        return node

    def construct_integer(self, node: ScalarNode) -> int | float:
        text = str(node.value).replace("_", "")
        sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
        # A leading zero is octal, as in 0440.
        is_octal = len(digits) > 1 and digits.isdigit() and digits.startswith("0")
        number = sign * int(digits, 8 if is_octal else 0)
        return number if -(2**63) <= number < 2**64 else float(number)

    def construct_float(self, node: ScalarNode) -> float:
        return float(str(node.value).replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))

    def construct_date(self, node: ScalarNode) -> Any:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: write the date {node.value!r} in quotes")


for _tag, _pattern, _first in (
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<$"), "<"),
    ("timestamp", _DATE, "0123456789"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_float)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_date)


def read_yaml(text: str) -> Any:
    """The document. Raises yaml.YAMLError with the line, for a key that is there twice as well."""
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader


def float_text(number: float) -> str:
    """A number with a fraction as Docker writes it where a text is wanted: 1.0 is 1, and 1.5e9 is 1.5e+09."""
    power = int(f"{number:.16e}".partition("e")[2])
    return repr(number).removesuffix(".0") if -4 <= power < 6 else _scientific(number)


def _scientific(number: float) -> str:
    """The shortest digits that give the number back, with at least two digits of exponent."""
    for precision in range(17):
        text = f"{number:.{precision}e}"
        if float(text) == number:
            return text
    return repr(number)
