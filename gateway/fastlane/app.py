"""What the fast lane answers."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.fastlane.exchange import DUE, App, ClientGone, Exchange
from gateway.invoke.accepted_calls import AcceptedCalls
from gateway.invoke.asynchronous import Asynchronous
from gateway.invoke.body_budget import BodyBudget, Held
from gateway.invoke.error_replies import nothing_here, render_error, unexpected
from gateway.invoke.forwarding import call_headers, duration
from gateway.invoke.incoming import METHODS, Body, Incoming, RawHeaders, split_called
from gateway.invoke.open_routes import is_open
from gateway.invoke.synchronous import Synchronous
from gateway.invoke.waiting import seconds_to_wait, without_wait
from swarmfn.upstream import UpstreamFailure
from swarmfn.wire.call_ids import is_client_call_id
from swarmfn.wire.errors import FaasError, InvalidRequest
from swarmfn.wire.headers import Headers

logger = logging.getLogger(__name__)

SYNC_PREFIX = "/function/"
ASYNC_PREFIX = "/async-function/"

_READING = ("GET", "HEAD")

_HELD_OF_A_STREAM = 256 * 1024
"""Bytes: about what the buffers on its way hold of a body that is passed on as it comes."""


class FastLane:
    """Serves invocations; `otherwise` serves everything else. `is_ready` answers /healthz. `public_port` serves nothing
    but what is open to anybody; 0 for none. What is held of request bodies counts towards `bodies`."""

    def __init__(
        self,
        synchronous: Synchronous,
        asynchronous: Asynchronous,
        accepted_calls: AcceptedCalls,
        otherwise: App,
        is_ready: Callable[[], bool],
        bodies: BodyBudget,
        public_port: int = 0,
    ) -> None:
        self._synchronous = synchronous
        self._asynchronous = asynchronous
        self._accepted_calls = accepted_calls
        self._otherwise = otherwise
        self._is_ready = is_ready
        self._bodies = bodies
        self._public_port = public_port

    def __call__(self, exchange: Exchange) -> Awaitable[None]:
        path = exchange.path.decode("latin-1")
        method = exchange.method
        if path.startswith(SYNC_PREFIX) and method in METHODS:
            return self._answer(exchange, path[len(SYNC_PREFIX) :], self._call)
        if path.startswith(ASYNC_PREFIX) and method == "POST":
            return self._answer(exchange, path[len(ASYNC_PREFIX) :], self._accept)
        if path == "/healthz" and method in _READING:
            return self._health(exchange)
        if exchange.port == self._public_port and not is_open("/" + path.lstrip("/")):
            return _send_refusal(exchange, nothing_here())
        if path.startswith(ASYNC_PREFIX) and method in _READING:
            call_id = _result_of(path)
            if call_id is not None:
                return self._result(exchange, call_id)
            if b"wait" in exchange.query:
                return self._hold(exchange, path)
        return self._pass_on(exchange)

    async def _answer(
        self, exchange: Exchange, called: str, handle: Callable[[Exchange, Incoming, str], Awaitable[None]]
    ) -> None:
        incoming = incoming_of(exchange, called, exchange.port == self._public_port)
        call_id = incoming.call_id()
        try:
            await handle(exchange, incoming, call_id)
        except FaasError as exc:
            await _send_error(exchange, exc, incoming, call_id)
        except ClientGone:
            return
        except UpstreamFailure as exc:
            extra = {"event": "answer_cut_off", "call_id": call_id}
            logger.warning("an answer of %s broke off in the middle: %s", incoming.name, exc, extra=extra)
        except Exception:
            reference = uuid.uuid4().hex[:12]
            logger.exception(
                "a call failed unexpectedly; %s",
                "the client was given this reference" if exchange.progress is DUE else "its answer was cut off",
                extra={"event": "request_failed", "reference": reference, "call_id": call_id},
            )
            await _send_error(exchange, unexpected(reference), incoming, call_id)

    async def _call(self, exchange: Exchange, incoming: Incoming, call_id: str) -> None:
        body: Body | None = None
        first = b""
        if incoming.is_small:
            body = exchange.whole_body()
            if body is None:
                first = await exchange.next_piece()
                body = first if exchange.is_received else None
        held = None
        try:
            if body is None:
                size = min(incoming.length or _HELD_OF_A_STREAM, _HELD_OF_A_STREAM)
                held = self._bodies.hold_for(incoming, size)
                body = await _all(first, exchange) if incoming.is_small else _counted(exchange.pieces(), held)
            outcome = await self._synchronous.call(incoming, call_id, body)
            try:
                whole = outcome.complete_body()
                if whole is not None:
                    await exchange.answer(outcome.status, outcome.headers, whole)
                else:
                    await send_as_it_comes(exchange, outcome.status, outcome.headers, outcome.chunks())
            finally:
                outcome.close()
        finally:
            if held is not None:
                held.release()

    async def _accept(self, exchange: Exchange, incoming: Incoming, call_id: str) -> None:
        checked = self._asynchronous.check(incoming)
        body: bytes | None = None
        first = b""
        if incoming.is_small:
            body = exchange.whole_body()
            if body is None:
                first = await exchange.next_piece()
                body = first if exchange.is_received else None
        if body is not None:
            accepted = await self._asynchronous.accept(incoming, checked, call_id, body)
        else:
            accepted = await self._asynchronous.accept_as_it_comes(
                incoming, checked, call_id, first, exchange.pieces(), self._bodies
            )
        await send_whole(exchange, 202, accepted.headers(incoming), b"")

    async def _hold(self, exchange: Exchange, path: str) -> None:
        """Waits for a call's end as the query asks; then the question is one that is answered at once."""
        query = exchange.query.decode("latin-1")
        call_id = path.removeprefix(ASYNC_PREFIX)
        try:
            seconds = seconds_to_wait(query)
        except InvalidRequest:
            await self._pass_on(exchange)  # it will be refused
            return
        if seconds and is_client_call_id(call_id):
            await self._accepted_calls.wait(call_id, seconds)
        exchange.query = without_wait(query).encode("latin-1", "replace")
        await self._pass_on(exchange)

    async def _result(self, exchange: Exchange, call_id: str) -> None:
        """A stored result, read as fast as its reader takes it."""
        try:
            seconds = seconds_to_wait(exchange.query.decode("latin-1"))
            if seconds:
                await self._accepted_calls.wait(call_id, seconds)
            result = await self._accepted_calls.result(call_id)
        except FaasError as exc:
            await _send_refusal(exchange, exc)
            return
        headers = [*_encoded(result.headers), (b"Content-Length", b"%d" % result.size)]
        try:
            if result.rest is not None and not result.is_whole and exchange.method != "HEAD":
                await exchange.begin(result.status, headers)
                await exchange.write(result.first)
                async for piece in result.rest:
                    await exchange.write(piece)
                await exchange.finish()
            else:
                await exchange.answer(result.status, headers, result.first)
        except FaasError as exc:
            extra = {"event": "answer_cut_off", "call_id": call_id}
            logger.warning("a result broke off in the middle: %s", exc, extra=extra)

    async def _pass_on(self, exchange: Exchange) -> None:
        try:
            await self._otherwise(exchange)
        except ClientGone:
            return
        except UpstreamFailure as exc:
            logger.warning("an answer of the management part broke off: %s", exc, extra={"event": "answer_cut_off"})

    async def _health(self, exchange: Exchange) -> None:
        is_ready = self._is_ready()
        text = b"OK\n" if is_ready else b"stopping\n"
        await send_whole(exchange, 200 if is_ready else 503, [(b"Content-Type", b"text/plain")], text)


def incoming_of(exchange: Exchange, called: str, is_public: bool = False) -> Incoming:
    """The core's view of a request for a function; `called` is its name and what follows that in the path."""
    name, rest = split_called(called)
    # By position, as it is made for every call: a class takes names in a dictionary.
    return Incoming(
        exchange.method,
        name,
        rest,
        exchange.query.decode("latin-1"),
        exchange.headers,
        exchange.length,
        exchange.client,
        is_public,
    )


async def _all(first: bytes, exchange: Exchange) -> bytes:
    """A small body, of which `first` is here. Raises ClientGone."""
    return b"".join([first, *[piece async for piece in exchange.pieces()]])


async def _counted(pieces: AsyncIterator[bytes], held: Held) -> AsyncIterator[bytes]:
    """`pieces`, after whose end nothing is held any more: an answer may go on for long."""
    async for piece in pieces:
        yield piece
    held.release()


async def send_whole(exchange: Exchange, status: int, headers: RawHeaders, body: bytes) -> None:
    """One answer whose body is known."""
    headers.append((b"Content-Length", b"%d" % len(body)))
    await exchange.answer(status, headers, body)


async def send_as_it_comes(exchange: Exchange, status: int, headers: RawHeaders, chunks: AsyncIterator[bytes]) -> None:
    """An answer whose head does not wait for the first piece of its body."""
    await exchange.begin(status, headers)
    await exchange.write(b"")
    async for chunk in chunks:
        await exchange.write(chunk)
    await exchange.finish()


async def _send_refusal(exchange: Exchange, error: FaasError) -> None:
    """An answer to a request that is not a call."""
    accept = next((value for name, value in exchange.headers if name == b"accept"), b"")
    status, named, body = render_error(error, accept.decode("latin-1"))
    await send_whole(exchange, status, _encoded(named), body)


def _encoded(headers: Headers) -> RawHeaders:
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers]


def _result_of(path: str) -> str | None:
    """The call whose result `path` is, if it is one."""
    if not path.endswith("/result"):
        return None
    call_id = path[len(ASYNC_PREFIX) : -len("/result")]
    return call_id if is_client_call_id(call_id) else None


async def _send_error(exchange: Exchange, error: FaasError, incoming: Incoming, call_id: str) -> None:
    if exchange.progress is not DUE:
        return  # in the middle of an answer it would be taken for a part of that; left incomplete, it is cut off
    status, named, body = render_error(error, incoming.header(b"accept"))
    await send_whole(exchange, status, [*_encoded(named), *call_headers(incoming, call_id), duration(incoming)], body)
