"""The ASGI app of the fast lane."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.fastlane.exchange import App, Message, Receive, Scope, Send
from gateway.invoke.asynchronous import Asynchronous
from gateway.invoke.bodies import BodyBudget, Held
from gateway.invoke.forwarding import call_headers, duration
from gateway.invoke.incoming import CLIENT_GONE, METHODS, Body, Incoming, RawHeaders, split_route
from gateway.invoke.open_routes import is_open
from gateway.invoke.problems import nothing_here, render_problem, unexpected
from gateway.invoke.synchronous import Synchronous
from gateway.invoke.waiting import seconds_to_wait, without_wait
from swarmfn.upstream import UpstreamFailure
from swarmfn.wire.call_ids import is_client_call_id
from swarmfn.wire.errors import FaasError, InvalidRequest
from swarmfn.wire.headers import Headers

logger = logging.getLogger(__name__)

SYNC_PREFIX = "/function/"
ASYNC_PREFIX = "/async-function/"

_HELD_OF_A_STREAM = 256 * 1024
"""Bytes: about what the buffers on its way hold of a body that is passed on as it comes."""


class ClientGone(Exception):
    """The client left before its request was whole."""

    status = CLIENT_GONE


class FastLane:
    """Serves invocations; `otherwise` serves everything else. `is_ready` answers /healthz. `public_port` serves nothing
    but what is open to anybody; 0 for none. What is held of request bodies counts towards `bodies`."""

    def __init__(
        self,
        synchronous: Synchronous,
        asynchronous: Asynchronous,
        otherwise: App,
        is_ready: Callable[[], bool],
        bodies: BodyBudget,
        public_port: int = 0,
    ) -> None:
        self._synchronous = synchronous
        self._asynchronous = asynchronous
        self._otherwise = otherwise
        self._is_ready = is_ready
        self._bodies = bodies
        self._public_port = public_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")
        if scope["method"] in METHODS and (route := split_route(path, SYNC_PREFIX)) is not None:
            await self._answer(scope, receive, send, route, self._call)
        elif scope["method"] == "POST" and (route := split_route(path, ASYNC_PREFIX)) is not None:
            await self._answer(scope, receive, send, route, self._accept)
        elif path == "/healthz" and scope["method"] in ("GET", "HEAD"):
            await self._health(send)
        elif scope["port"] == self._public_port and not is_open("/" + path.lstrip("/")):
            await _send_refusal(send, nothing_here(), scope)
        elif scope["method"] in ("GET", "HEAD") and (call_id := _result_of(path)) is not None:
            await self._result(scope, call_id, send)
        elif scope["method"] in ("GET", "HEAD") and b"wait" in scope["query_string"] and path.startswith(ASYNC_PREFIX):
            await self._pass_on(await self._hold(scope, path), receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        route: tuple[str, str],
        handle: Callable[[Incoming, str, Receive, Send], Awaitable[None]],
    ) -> None:
        incoming = incoming_of(scope, route, is_public=scope["port"] == self._public_port)
        call_id = incoming.call_id()
        try:
            await handle(incoming, call_id, receive, send)
        except FaasError as exc:
            await _send_problem(send, exc, incoming, call_id)
        except ClientGone:
            return
        except UpstreamFailure as exc:
            extra = {"event": "answer_cut_off", "call_id": call_id}
            logger.warning("an answer of %s broke off in the middle: %s", incoming.name, exc, extra=extra)
        except Exception:
            reference = uuid.uuid4().hex[:12]
            logger.exception(
                "a call failed unexpectedly; the client was given this reference",
                extra={"event": "request_failed", "reference": reference, "call_id": call_id},
            )
            await _send_problem(send, unexpected(reference), incoming, call_id)

    async def _call(self, incoming: Incoming, call_id: str, receive: Receive, send: Send) -> None:
        first = b""
        if incoming.is_small:
            first, is_whole = await _first_piece(receive)
            if is_whole:
                await self._call_with(incoming, call_id, first, send)
                return
        with self._bodies.hold_for(incoming, min(incoming.length or _HELD_OF_A_STREAM, _HELD_OF_A_STREAM)) as held:
            body = await _all(first, receive) if incoming.is_small else _counted(_chunks(receive), held)
            await self._call_with(incoming, call_id, body, send)

    async def _call_with(self, incoming: Incoming, call_id: str, body: Body, send: Send) -> None:
        outcome = await self._synchronous.call(incoming, call_id, body)
        try:
            await send({"type": "http.response.start", "status": outcome.status, "headers": outcome.headers})
            whole = outcome.complete_body()
            if whole is None:
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                async for chunk in outcome.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                whole = b""
            await send({"type": "http.response.body", "body": whole})
        finally:
            outcome.close()

    async def _accept(self, incoming: Incoming, call_id: str, receive: Receive, send: Send) -> None:
        wanted = self._asynchronous.check(incoming)
        first = b""
        if incoming.is_small:
            first, is_whole = await _first_piece(receive)
            if is_whole:
                accepted = await self._asynchronous.accept(incoming, wanted, call_id, first)
                await send_whole(send, 202, accepted.headers(incoming), b"")
                return
        accepted = await self._asynchronous.accept_as_it_comes(
            incoming, wanted, call_id, first, _chunks(receive), self._bodies
        )
        await send_whole(send, 202, accepted.headers(incoming), b"")

    async def _hold(self, scope: Scope, path: str) -> Scope:
        """Waits for a call's end as the query asks; then the question is one that is answered at once."""
        query = scope["query_string"].decode("latin-1")
        call_id = path.removeprefix(ASYNC_PREFIX)
        try:
            seconds = seconds_to_wait(query)
        except InvalidRequest:
            return scope  # it will be refused
        if seconds and is_client_call_id(call_id):
            await self._asynchronous.wait(call_id, seconds)
        return {**scope, "query_string": without_wait(query).encode("latin-1", "replace")}

    async def _result(self, scope: Scope, call_id: str, send: Send) -> None:
        """A stored result, read as fast as its reader takes it."""
        try:
            seconds = seconds_to_wait(scope["query_string"].decode("latin-1"))
            if seconds:
                await self._asynchronous.wait(call_id, seconds)
            result = await self._asynchronous.result(call_id)
        except FaasError as exc:
            await _send_refusal(send, exc, scope)
            return
        headers = [*_encoded(result.headers), (b"Content-Length", b"%d" % result.size)]
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        try:
            if result.rest is not None and not result.is_whole and scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": result.first, "more_body": True})
                async for piece in result.rest:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                await send({"type": "http.response.body", "body": result.first})
        except FaasError as exc:
            extra = {"event": "answer_cut_off", "call_id": call_id}
            logger.warning("a result broke off in the middle: %s", exc, extra=extra)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._otherwise(scope, receive, send)
        except ClientGone:
            return
        except UpstreamFailure as exc:
            logger.warning("an answer of the management part broke off: %s", exc, extra={"event": "answer_cut_off"})

    async def _health(self, send: Send) -> None:
        is_ready = self._is_ready()
        text = b"OK\n" if is_ready else b"stopping\n"
        await send_whole(send, 200 if is_ready else 503, [(b"Content-Type", b"text/plain")], text)


def incoming_of(scope: Scope, route: tuple[str, str], is_public: bool = False) -> Incoming:
    """The core's view of an ASGI request."""
    headers: RawHeaders = scope["headers"]
    length: int | None = 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            length = None
            break
    return Incoming(
        method=scope["method"],
        name=route[0],
        path=route[1],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        length=length,
        client=scope["client"],
        is_public=is_public,
    )


async def read_body(incoming: Incoming, receive: Receive) -> Body:
    """A small body whole, a larger or chunked one as it comes. Raises ClientGone."""
    if not incoming.is_small:
        return _chunks(receive)
    first, is_whole = await _first_piece(receive)
    return first if is_whole else await _all(first, receive)


async def _first_piece(receive: Receive) -> tuple[bytes, bool]:
    """And whether it is all there is. Raises ClientGone."""
    message = await _request_message(receive)
    return message["body"], not message["more_body"]


async def _all(first: bytes, receive: Receive) -> bytes:
    return b"".join([first, *[chunk async for chunk in _chunks(receive)]])


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it comes. Raises ClientGone."""
    while True:
        message = await _request_message(receive)
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return


async def _counted(chunks: AsyncIterator[bytes], held: Held) -> AsyncIterator[bytes]:
    """`chunks`, after whose end nothing is held any more: an answer may go on for long."""
    async for chunk in chunks:
        yield chunk
    held.release()


async def _request_message(receive: Receive) -> Message:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    return message


async def send_whole(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """One answer whose body is known."""
    headers.append((b"Content-Length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_refusal(send: Send, error: FaasError, scope: Scope) -> None:
    """An answer to what is no call."""
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    status, named, body = render_problem(error, accept.decode("latin-1"))
    await send_whole(send, status, _encoded(named), body)


def _encoded(headers: Headers) -> RawHeaders:
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers]


def _result_of(path: str) -> str | None:
    """The call whose result `path` is, if it is one."""
    if not path.startswith(ASYNC_PREFIX) or not path.endswith("/result"):
        return None
    call_id = path[len(ASYNC_PREFIX) : -len("/result")]
    return call_id if is_client_call_id(call_id) else None


async def _send_problem(send: Send, error: FaasError, incoming: Incoming, call_id: str) -> None:
    status, named, body = render_problem(error, incoming.header(b"accept"))
    await send_whole(send, status, [*_encoded(named), *call_headers(incoming, call_id), duration(incoming)], body)
