"""The invocation routes on Flask: the reference front end, complete by itself, and status and results for both."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers as HeaderMap
from werkzeug.routing import BaseConverter

from gateway.api.bridge import Bridge, CallerGone
from gateway.api.error_replies import reply
from gateway.api.public_port import IS_PUBLIC
from gateway.invoke.accepted_calls import AcceptedCalls
from gateway.invoke.asynchronous import Asynchronous
from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.error_replies import error_with_status
from gateway.invoke.forwarding import call_headers, duration
from gateway.invoke.incoming import CLIENT_GONE, METHODS, Body, Incoming, RawHeaders, split_called
from gateway.invoke.synchronous import Outcome, Synchronous
from gateway.invoke.waiting import seconds_to_wait
from swarmfn.upstream import UpstreamFailure
from swarmfn.wire.errors import FaasError, Unavailable
from swarmfn.wire.headers import HOP_BY_HOP

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

_CHUNK = 64 * 1024
_HELD_AT_ONCE = 8
"""Questions that wait for a call's end at a time, on these threads; the fast lane holds its own."""

_STREAMED_AT_ONCE = 16
"""Large results that are sent at a time, on these threads, each of which waits for its reader; for the fast lane no
thread waits."""

_ABSOLUTE = re.compile(r"\Ahttps?://[^/?]*", re.IGNORECASE)

_THE_SERVERS = HOP_BY_HOP | {"trailers"}
"""Headers that no WSGI application may set (PEP 3333): waitress fails an answer with one. It takes `Trailers`, which
RFC 2616 had by mistake, for one of them."""


class Rest(BaseConverter):
    """Whatever is left of a path, slashes at its beginning included. Registered as `rest` by create_app."""

    regex = ".+"
    part_isolating = False


def invoke_routes(
    synchronous: Synchronous,
    asynchronous: Asynchronous,
    accepted_calls: AcceptedCalls,
    bridge: Bridge,
    is_ready: Callable[[], bool],
    bodies: BodyBudget,
) -> Blueprint:
    """/function, /async-function and /healthz. What is held of request bodies counts towards `bodies`."""
    routes = Blueprint("invoke", __name__)
    calls = _CallView(synchronous, bridge)
    submissions = _SubmissionView(asynchronous, bridge, bodies)
    records = _RecordViews(accepted_calls, bridge)

    def health() -> Response:
        return Response("OK\n" if is_ready() else "stopping\n", 200 if is_ready() else 503, content_type="text/plain")

    for prefix, name, view, methods in (
        ("/function/", "call", calls.call, METHODS),
        ("/async-function/", "accept", submissions.accept, ["POST"]),
    ):
        for rule in (prefix, f"{prefix}<rest:rest>"):
            routes.add_url_rule(
                rule, name, view, methods=methods, provide_automatic_options=False, strict_slashes=False
            )
    routes.get("/async-function/<call_id>")(records.status)
    routes.delete("/async-function/<call_id>")(records.cancel)
    routes.get("/async-function/<call_id>/result")(records.result)
    routes.get("/healthz")(health)
    return routes


@dataclass(frozen=True)
class _CallView:
    """Synchronous calls."""

    synchronous: Synchronous
    bridge: Bridge

    def call(self, rest: str = "") -> Response:
        incoming = _incoming()
        call_id = incoming.call_id()
        try:
            answered = self.bridge.run(self._answered(incoming, call_id, _body(incoming)), _is_gone(), _Answered.close)
        except FaasError as exc:
            return _named(reply(exc), incoming, call_id)
        except CallerGone:
            return Response(status=CLIENT_GONE)
        if answered.body is not None:
            return AsItIs(answered.body, answered.outcome.status, _decoded(answered.outcome.headers))
        return self._streamed(answered.outcome, incoming, call_id)

    async def _answered(self, incoming: Incoming, call_id: str, body: Body) -> _Answered:
        outcome = await self.synchronous.call(incoming, call_id, body)
        whole = outcome.complete_body()
        if whole is not None:
            outcome.close()  # here on the loop: a second way to it would cost as much as all of this
        return _Answered(outcome, whole)

    def _streamed(self, outcome: Outcome, incoming: Incoming, call_id: str) -> Response:
        bridge, is_gone = self.bridge, _is_gone()

        def chunks() -> Iterator[bytes]:
            try:
                yield from bridge.iterate(outcome.chunks(), is_gone)
            except UpstreamFailure as exc:
                extra = {"event": "answer_cut_off", "call_id": call_id}
                logger.warning("an answer of %s broke off in the middle: %s", incoming.name, exc, extra=extra)
                # To the server as if its client had left: it closes the connection without marking the answer's end.
                raise ConnectionError from exc

        response = AsItIs(chunks(), outcome.status, _decoded(outcome.headers))
        response.call_on_close(lambda: bridge.do(outcome.close))
        return response


@dataclass(frozen=True, slots=True)
class _Answered:
    """A function's answer. One that came in one piece has its `body`, and is closed."""

    outcome: Outcome
    body: bytes | None

    def close(self) -> None:
        if self.body is None:
            self.outcome.close()


@dataclass(frozen=True)
class _SubmissionView:
    """Asynchronous calls, as far as the 202."""

    asynchronous: Asynchronous
    bridge: Bridge
    bodies: BodyBudget

    def accept(self, rest: str = "") -> Response:
        incoming = _incoming()
        call_id = incoming.call_id()
        try:
            checked = self.asynchronous.check(incoming)
            body = _body(incoming)
            if isinstance(body, bytes):
                accepting = self.asynchronous.accept(incoming, checked, call_id, body)
            else:
                accepting = self.asynchronous.accept_as_it_comes(incoming, checked, call_id, b"", body, self.bodies)
            accepted = self.bridge.run(accepting, _is_gone())
        except FaasError as exc:
            return _named(reply(exc), incoming, call_id)
        except CallerGone:
            return Response(status=CLIENT_GONE)
        return AsItIs(b"", 202, [*_decoded(accepted.headers(incoming)), ("Content-Length", "0")])


class _RecordViews:
    """What has become of a call: its status and result, and its cancelling."""

    def __init__(self, accepted_calls: AcceptedCalls, bridge: Bridge) -> None:
        self._accepted_calls = accepted_calls
        self._bridge = bridge
        self._holding = threading.BoundedSemaphore(_HELD_AT_ONCE)
        self._streaming = threading.BoundedSemaphore(_STREAMED_AT_ONCE)

    def status(self, call_id: str) -> dict[str, Any]:
        self._hold(call_id)
        return self._bridge.run(self._accepted_calls.status(call_id), _is_gone())

    def cancel(self, call_id: str) -> Response:
        self._bridge.run(self._accepted_calls.cancel(call_id), _is_gone())
        return Response(status=202)

    def result(self, call_id: str) -> Response:
        self._hold(call_id)
        found = self._bridge.run(self._accepted_calls.result(call_id), _is_gone())
        headers = [*found.headers, ("Content-Length", str(found.size))]
        if found.rest is None or found.is_whole:
            return AsItIs(found.first, found.status, headers)
        if not self._streaming.acquire(blocking=False):
            raise Unavailable("too many large results are being read at once.", "Try again shortly.")
        pieces = _pieces(found.first, self._bridge.iterate(found.rest, _is_gone()))
        response = AsItIs(pieces, found.status, headers)
        response.call_on_close(self._streaming.release)
        return response

    def _hold(self, call_id: str) -> None:
        """Waits for the call's end as long as the query asks."""
        seconds = seconds_to_wait(request.query_string.decode("latin-1"))
        # Not more than these wait, or there would be no thread left for others; the rest is answered at once.
        if seconds and self._holding.acquire(blocking=False):
            try:
                self._bridge.run(self._accepted_calls.wait(call_id, seconds), _is_gone())
            finally:
                self._holding.release()


class AsItIs(Response):
    """Sends the headers it is given and no others. The head of a streamed body goes out before its first piece.

    Those that belong to the server are left out, wherever the headers come from.
    """

    automatically_set_content_length = False

    def __init__(self, body: bytes | Iterable[bytes], status: int, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(body, status)
        self.headers = HeaderMap([pair for pair in headers if pair[0].lower() not in _THE_SERVERS])

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> HeaderMap:
        return self.headers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body, status, headers = self.get_wsgi_response(environ)
        try:
            write = start_response(status, headers)
            if self.is_streamed:
                write(b"")  # a server would wait for a piece of the body before it sends the head
        except BaseException:
            self.close()  # the client has left, and the server has got no body that it could close
            raise
        return body


def _incoming() -> Incoming:
    """The core's view of the present request. Name and path are taken from the raw URI, still percent-encoded."""
    raw = str(request.environ.get("REQUEST_URI") or request.full_path)
    path, _, query = _ABSOLUTE.sub("", raw, count=1).partition("?")
    if path.startswith("//"):
        # Flask's routes do not tell them apart.
        meant = "/" + path.lstrip("/")
        raise error_with_status(404, f"there is nothing at {path[:200]}.", f"Write it with one slash: {meant[:200]}")
    name, rest = split_called(path.removeprefix("/").partition("/")[2])
    headers: RawHeaders = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in request.headers.items()]
    return Incoming(
        method=request.method,
        name=name,
        path=rest,
        query=query,
        headers=headers,
        # Of a chunked body too, which waitress has received by now.
        length=request.content_length or 0,
        client=request.remote_addr or "unknown",
        is_public=request.environ.get(IS_PUBLIC, False),
    )


def _body(incoming: Incoming) -> Body:
    if incoming.is_small:
        return request.stream.read()
    return _file_chunks(request.stream)


async def _file_chunks(stream: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _is_gone() -> Callable[[], bool]:
    """Whether the present request's client has left; other servers than waitress do not tell."""
    check = request.environ.get("waitress.client_disconnected")
    return (lambda: bool(check())) if callable(check) else (lambda: False)


def _pieces(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    try:
        yield from rest
    except FaasError as exc:
        logger.warning("a result broke off in the middle: %s", exc, extra={"event": "answer_cut_off"})
        raise ConnectionError from exc  # as for an answer that breaks off


def _decoded(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers]


def _named(response: Response, incoming: Incoming, call_id: str) -> Response:
    """`response` with what every answer on these routes carries."""
    for name, value in (*call_headers(incoming, call_id), duration(incoming)):
        response.headers[name.decode()] = value.decode()
    return response
