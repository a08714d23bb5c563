"""What the public port serves when management has a port of its own: calls and /healthz."""

from __future__ import annotations

from flask import request

from gateway.invoke.error_replies import nothing_here
from gateway.invoke.open_routes import is_open

IS_PUBLIC = "swarmfn.is_public"
"""In a request's environment, set by its server: it came to a port that serves no management."""


def hide_management() -> None:
    """A before_request hook: on the public port there is only what anybody may use. It belongs before all others, so
    that credentials mean nothing there."""
    if request.environ.get(IS_PUBLIC, False) and not is_open(request.path):
        raise nothing_here()
