"""Who may use the management API and the pages: HTTP Basic credentials, and no other site's pages."""

from __future__ import annotations

from collections.abc import Callable

from flask import request

from gateway.invoke.credentials import Credentials
from gateway.invoke.open_routes import is_open
from gateway.invoke.problems import problem
from swarmfn.wire.errors import Unauthorized

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def require_credentials(credentials: Credentials) -> Callable[[], None]:
    """A before_request hook that lets only requests with these credentials pass; open routes pass anyway."""

    def check() -> None:
        if is_open(request.path):
            return
        if not credentials.let_in(request.headers.get("Authorization", "")):
            raise Unauthorized(
                "the user name or the password is missing or wrong.", "Send them as HTTP Basic credentials."
            )

    return check


def refuse_other_sites() -> None:
    """A before_request hook against forms on other sites: a browser sends the credentials it knows along with them.

    What browsers say about the page that sent a change must name this gateway. Programs other than browsers say
    nothing of the kind, and pass.
    """
    if request.method in _SAFE_METHODS or is_open(request.path):
        return
    if not _is_same_site(request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"), request.host):
        raise problem(403, "a page of another site sent this change.", "Use the gateway's own pages, or a command.")


def _is_same_site(fetch_site: str | None, origin: str | None, host: str) -> bool:
    # Sec-Fetch-Site is the better witness (a proxy may have changed Host), but browsers send it over https and to
    # loopback addresses only.
    if fetch_site is not None:
        return fetch_site == "same-origin"
    return origin is None or origin.lower().endswith(f"://{host.lower()}")
