"""`${NAME}` in the compose file: replaced by values of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)(?::-([^{}]*))?\})")


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
