"""Who may use the management API and the pages: HTTP Basic credentials, and no other site's pages."""

from __future__ import annotations

from collections.abc import Callable

from flask import request

from gateway.api.audit import SAFE_METHODS, note_user
from gateway.api.failed_logins import FailedLogins
from gateway.invoke.credentials import Credentials
from gateway.invoke.error_replies import error_with_status
from gateway.invoke.open_routes import is_open
from swarmfn.wire.errors import FaasError, Unauthorized


def require_credentials(
    credentials: Credentials, logins: FailedLogins, client: Callable[[], str]
) -> Callable[[], None]:
    """A before_request hook that lets only requests with these credentials pass; open routes pass anyway.

    Wrong ones are noted in `logins` under the request's `client`; too many of them are a 429.
    """

    def check() -> None:
        if is_open(request.path):
            return
        given = request.headers.get("Authorization", "")
        if credentials.let_in(given):
            note_user(credentials.user)
            return
        wait = logins.failed(client()) if given else 0.0
        if wait:
            raise TooManyFailures(wait)
        raise Unauthorized("the user name or the password is missing or wrong.", "Send them as HTTP Basic credentials.")

    return check


class TooManyFailures(FaasError):
    """Wrong credentials, again and again. `retry_after` is in seconds."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many logins from this address have failed.", "The right credentials work at any time.")
        self.retry_after = retry_after


def let_everybody_in() -> None:
    """A before_request hook for a gateway without credentials."""
    note_user("anybody")


def refuse_other_sites() -> None:
    """A before_request hook against forms on other sites: a browser sends the credentials it knows along with them.

    What browsers say about the page that sent a change must name this gateway. Programs other than browsers say
    nothing of the kind, and pass.
    """
    if request.method in SAFE_METHODS or is_open(request.path):
        return
    if not _is_same_site(request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"), request.host):
        raise error_with_status(
            403, "a page of another site sent this change.", "Use the gateway's own pages, or a command."
        )


def _is_same_site(fetch_site: str | None, origin: str | None, host: str) -> bool:
    # Sec-Fetch-Site is the better witness (a proxy may have changed Host), but browsers send it over https and to
    # loopback addresses only.
    if fetch_site is not None:
        return fetch_site == "same-origin"
    return origin is None or origin.lower().endswith(f"://{host.lower()}")
