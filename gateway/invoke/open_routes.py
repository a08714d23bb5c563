"""Which paths anybody may call, and so the only ones on the public port when management has one of its own."""

from __future__ import annotations

OPEN_ROUTES = frozenset({"function", "async-function", "healthz"})
"""First parts of the paths that anybody may call; whatever is not listed is closed."""


def is_open(path: str) -> bool:
    """Whether `path` may be called without credentials."""
    return path.removeprefix("/").partition("/")[0] in OPEN_ROUTES
