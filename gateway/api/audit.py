"""One line in the log for each change over the management API: who, what, from where, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Response, g, request

from gateway.invoke.open_routes import is_open

logger = logging.getLogger("gateway.audit")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing (RFC 9110, section 9.2.1)."""

_NAMES = ("service", "functionName", "serviceName", "name")
_MOST = 200


def note_user(user: str) -> None:
    """The present request is this user's; without it there is no line."""
    g.user = user


def note_document(document: dict[str, Any]) -> None:
    """The present request's body, in which the function may be named."""
    g.about = next((document[name] for name in _NAMES if isinstance(document.get(name), str)), "")


def audit_changes(client: Callable[[], str]) -> Callable[[Response], Response]:
    """An after_request hook. `client` names the present request's."""

    def log(response: Response) -> Response:
        user = g.get("user")
        if user is None or request.method in SAFE_METHODS or is_open(request.path):
            return response
        what = {"method": request.method, "path": request.path[:_MOST], "about": g.get("about", "")[:_MOST]}
        logger.info(
            "%s: %s %s %s",
            user,
            what["method"],
            what["path"],
            what["about"],
            extra={"event": "change", "user": user, **what, "client": client(), "status": response.status_code},
        )
        return response

    return log
