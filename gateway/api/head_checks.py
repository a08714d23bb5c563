"""How a request can be refused before its body has come, so that no body is kept for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, request

from gateway.api.json_bodies import MAX_BODY, too_large
from gateway.invoke.incoming import METHODS
from swarmfn.wire.headers import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CHECKS = "swarmfn_head_checks"


@dataclass(frozen=True)
class Refusal:
    """A whole answer."""

    status: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Verdict:
    """What happens to a request with a body: it is refused, or at most `max_body` bytes of it are taken."""

    refusal: Refusal | None = None
    max_body: int | None = None


def note_head_checks(app: Flask) -> None:
    """The before_request hooks that `app` has now look at nothing but the head, and wait for nothing."""
    app.extensions[_CHECKS] = tuple(app.before_request_funcs[None])


class HeadChecks:
    """Lets `app` answer by a request's head where it can: who may come in, whether there is such a page.

    With `serves_calls`, calls may have a body of any size; other requests may have a management request's.
    """

    def __init__(self, app: Flask, serves_calls: bool) -> None:
        self._app = app
        self._serves_calls = serves_calls

    def __call__(self, environ: WSGIEnvironment, received: int = 0) -> Verdict:
        """The verdict when `received` bytes of the body are here."""
        if self._serves_calls and _is_call(environ):
            return Verdict()
        with self._app.request_context(environ):
            try:
                self._check(received)
            except Exception as exc:
                answer = self._app.finalize_request(self._app.handle_user_exception(exc))
                headers = list(answer.get_wsgi_headers(environ))
                return Verdict(Refusal(answer.status, headers, answer.get_data()))
        return Verdict(max_body=MAX_BODY)

    def _check(self, received: int) -> None:
        for check in self._app.extensions[_CHECKS]:
            check()
        if request.routing_exception is not None:
            raise request.routing_exception
        if max(received, request.content_length or 0) > MAX_BODY:
            raise too_large()


def _is_call(environ: WSGIEnvironment) -> bool:
    first = environ["PATH_INFO"].removeprefix("/").partition("/")[0]
    method = environ["REQUEST_METHOD"]
    return (first == "function" and method in METHODS) or (first == "async-function" and method == "POST")
