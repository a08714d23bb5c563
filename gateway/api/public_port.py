"""What the public port serves when management has a port of its own: calls and /healthz."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.invoke.open_routes import is_open
from gateway.invoke.problems import nothing_here, render_problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

IS_PUBLIC = "swarmfn.is_public"
"""In a request's environment: it came to a port that serves no management."""


class PublicPort:
    """The part of `app` that anybody may use, as a WSGI app."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_open(environ["PATH_INFO"]):
            environ[IS_PUBLIC] = True
            return self._app(environ, start_response)
        status, headers, body = render_problem(nothing_here())
        start_response(f"{status} Not Found", [*headers, ("Content-Length", str(len(body)))])
        return [body]
