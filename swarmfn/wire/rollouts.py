"""How far a function's present description has got."""

from __future__ import annotations

from enum import StrEnum


class Rollout(StrEnum):
    """Of the last deployment or update of a function."""

    DONE = "done"
    """A replica as described is healthy, or none is wanted."""

    RUNNING = "running"
    """Replicas are getting ready."""

    FAILING = "failing"
    """Replicas as described have failed; it is tried again, and the previous replicas keep serving meanwhile."""

    TAKEN_BACK = "taken-back"
    """They have failed, and the function is again what it was before."""
