"""What clients ask of functions, checked for what they cannot mean. Descriptions that are stored are not: what an
earlier version has taken goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from swarmfn.wire.commands import quoted_part
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.nearest import nearest

_FIELDS = (
    "service", "image", "namespace", "envProcess", "envVars", "constraints", "secrets", "labels", "annotations",
    "limits", "requests", "readOnlyRootFilesystem", "registryAuth", "network",
)  # fmt: skip
_OF_A_STATUS = (
    "name", "replicas", "availableReplicas", "invocationCount", "createdAt", "usage", "rollout", "problem",
    "warnings",
)  # fmt: skip
"""A description may be made from a status."""

_AMOUNTS = ("memory", "cpu")
_COMMANDS = ("fprocess", "function_process")


def requested_function(body: Any) -> FunctionSpec:
    """The spec in a deploy or update body. Raises InvalidRequest or InvalidFunction, naming the field."""
    function = FunctionSpec.from_json(body)
    refuse_misspelt(body, _FIELDS, _OF_A_STATUS)
    for name in ("limits", "requests"):
        refuse_misspelt(body.get(name) or {}, _AMOUNTS, place=f"{name}.")
    check_command("envProcess", function.env_process)
    for name in _COMMANDS:
        check_command(f"envVars.{name}", function.env_vars.get(name, ""))
    return function


def refuse_misspelt(
    document: Mapping[str, Any], known: Collection[str], others: Collection[str] = (), place: str = ""
) -> None:
    """Raises InvalidFunction for a field that is nearly called like one of `known`. Fields of any other name, which
    a newer client may have, are ignored, as OpenFaaS does."""
    for field in document:
        if field not in known and field not in others and (meant := nearest(field, known)):
            raise InvalidFunction(f"{place}{field:.100}", "there is no such field.", f"Did you mean {place}{meant}?")


def check_command(field: str, command: str) -> None:
    """Raises InvalidFunction for a command that only a shell could split."""
    if part := quoted_part(command):
        raise InvalidFunction(
            field,
            f"the quotes in {part:.100} would be passed on as they are: a watchdog splits a command at each space and "
            "starts it without a shell.",
            "Put the command into a script beside the function, and name that, such as ./run.sh.",
        )
