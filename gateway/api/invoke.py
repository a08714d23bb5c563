"""The invocation routes on Flask: the reference front end, complete by itself, and status and results for both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from gateway.api.problems import reply
from gateway.invoke.asynchronous import Asynchronous, result_headers
from gateway.invoke.bridge import Bridge
from gateway.invoke.forwarding import call_headers
from gateway.invoke.incoming import SMALL_BODY, Body, Incoming, RawHeaders
from gateway.invoke.synchronous import Outcome, Synchronous
from swarmfn.wire.errors import FaasError

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
_CHUNK = 64 * 1024


def invoke_routes(
    synchronous: Synchronous, asynchronous: Asynchronous, bridge: Bridge, is_ready: Callable[[], bool]
) -> Blueprint:
    """/function, /async-function and /healthz."""
    routes = Blueprint("invoke", __name__)

    def call(name: str = "", path: str = "") -> Response:
        incoming = _incoming(name)
        call_id = incoming.call_id()
        try:
            outcome = bridge.run(synchronous.call(incoming, call_id, _body(incoming)), _is_gone())
        except FaasError as exc:
            return _named(reply(exc), incoming, call_id)
        return _streamed(outcome, bridge)

    def accept(name: str, path: str = "") -> Response:
        incoming = _incoming(name)
        call_id = incoming.call_id()
        try:
            route = asynchronous.check(incoming)
            body = bridge.run(asynchronous.read(_file_chunks(request.stream)), _is_gone())
            accepted = bridge.run(asynchronous.accept(incoming, route, body), _is_gone())
        except FaasError as exc:
            return _named(reply(exc), incoming, call_id)
        response = _named(Response(status=202), incoming, accepted.call_id)
        response.headers["Location"] = f"/async-function/{accepted.call_id}"
        return response

    def status(call_id: str) -> dict[str, Any]:
        return bridge.run(asynchronous.status(call_id), _is_gone())

    def result(call_id: str) -> Response:
        record = bridge.run(asynchronous.record(call_id), _is_gone())
        if not record.is_final:
            return Response("the call has not ended yet.\n", 202, {"Retry-After": "1", "Content-Type": "text/plain"})
        body = bridge.run(asynchronous.answer(record), _is_gone())
        code = record.response.status if record.response else 503
        return Response(body, code, result_headers(record))

    def health() -> Response:
        return Response("OK\n" if is_ready() else "stopping\n", 200 if is_ready() else 503, content_type="text/plain")

    def refuse(call_id: str = "", path: str = "") -> Response:
        raise MethodNotAllowed(valid_methods=["GET", "POST"])

    for rule in ("/function/", "/function/<name>", "/function/<name>/", "/function/<name>/<path:path>"):
        routes.add_url_rule(rule, "call", call, methods=METHODS, provide_automatic_options=False)
    for rule in ("/async-function/<name>", "/async-function/<name>/", "/async-function/<name>/<path:path>"):
        routes.add_url_rule(rule, "accept", accept, methods=["POST"], provide_automatic_options=False)
    routes.get("/async-function/<call_id>")(status)
    routes.get("/async-function/<call_id>/result")(result)
    routes.add_url_rule("/async-function/", "refuse", refuse, methods=METHODS)
    routes.get("/healthz")(health)
    return routes


def _incoming(name: str) -> Incoming:
    """The core's view of the present request. Path and name are taken from the raw URI, still percent-encoded."""
    raw = str(request.environ.get("REQUEST_URI") or request.environ.get("PATH_INFO", ""))
    path, _, query = raw.partition("?")
    _, _, rest = path.lstrip("/").partition("/")
    raw_name, slash, tail = rest.partition("/")
    headers: RawHeaders = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in request.headers.items() if v]
    return Incoming(
        method=request.method,
        name=raw_name or name,
        path=slash + tail,
        query=query or request.query_string.decode("latin-1"),
        headers=headers,
        length=request.content_length or 0,
        client=request.remote_addr or "unknown",
    )


def _body(incoming: Incoming) -> Body:
    """waitress has received the whole body by now, chunked ones too, so its length is known."""
    if incoming.length is not None and incoming.length <= SMALL_BODY:
        return request.stream.read()
    return _file_chunks(request.stream)


async def _file_chunks(stream: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _is_gone() -> Callable[[], bool]:
    """Whether the present request's client has left; other servers than waitress do not tell."""
    check = request.environ.get("waitress.client_disconnected")
    return (lambda: bool(check())) if callable(check) else (lambda: False)


def _streamed(outcome: Outcome, bridge: Bridge) -> Response:
    is_gone = _is_gone()
    whole = outcome.complete_body()
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in outcome.headers]

    def chunks() -> Iterator[bytes]:
        yield from bridge.iterate(outcome.chunks(), is_gone)

    response = Response(chunks() if whole is None else whole, outcome.status)
    # What the function said stands: Flask would add a content type and a length of its own.
    response.headers.clear()
    response.headers.extend(headers)
    response.automatically_set_content_length = False
    response.call_on_close(lambda: bridge.do(outcome.close))
    return response


def _named(response: Response, incoming: Incoming, call_id: str) -> Response:
    for name, value in call_headers(incoming, call_id):
        response.headers[name.decode()] = value.decode()
    return response
