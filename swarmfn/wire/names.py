"""Names of functions and of the one namespace they live in."""

from __future__ import annotations

import re

from swarmfn.wire.errors import FunctionNotFound, InvalidFunction

NAMESPACE = "openfaas-fn"
"""The only namespace; current clients append it to every name (`echo.openfaas-fn`)."""

CALLBACKS = "callbacks"
"""What the queues of callbacks begin with: `callbacks:N`."""

RESERVED = frozenset({"gateway", "redis", "worker", CALLBACKS})
"""Names of the stack's own services and of the callback queues; no function may have one."""

MAX_LENGTH = 63
_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?")
_SUFFIX = "." + NAMESPACE


def function_name(text: str) -> str:
    """The plain name in `text`, with or without the namespace.

    Raises FunctionNotFound for anything that cannot be a function's name: to a caller it is one that does not exist.
    """
    name = text.removesuffix(_SUFFIX)
    if len(name) > MAX_LENGTH or _NAME.fullmatch(name) is None:
        raise FunctionNotFound(text[:100])
    return name


def check_new_name(text: str) -> str:
    """The plain name for a function about to be deployed; raises InvalidFunction that says what is wrong with it."""
    name = text.removesuffix(_SUFFIX)
    if len(name) > MAX_LENGTH or _NAME.fullmatch(name) is None:
        raise InvalidFunction(
            "service",
            f"{text[:100]!r} is not a name for a function.",
            f"Use up to {MAX_LENGTH} letters, digits, - and _, beginning and ending with a letter or digit.",
        )
    # Host names of the stack are matched without regard to case.
    if name.lower() in RESERVED:
        raise InvalidFunction("service", f'"{name}" is reserved for a part of the platform.', "Choose another name.")
    return name


def qualified(name: str) -> str:
    """`name.namespace`, as OpenFaaS's metrics and dashboards label functions."""
    return name + _SUFFIX
