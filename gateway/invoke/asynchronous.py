"""An asynchronous call: check it, store it, say 202."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from gateway.invoke import forwarding
from gateway.invoke.admission import limits_of, overloaded
from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.call_options import NO_OPTIONS, CallOptions, options_of
from gateway.invoke.callback_checks import CallbackChecks
from gateway.invoke.credentials import Credentials
from gateway.invoke.incoming import SMALL_BODY, Incoming, RawHeaders
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.invoke.uploads import WHOLE, Beginning, Unfinished, Uploads, UploadStore, held_of
from swarmfn.jobs.terms import (
    PLAIN,
    Full,
    IdempotencyKey,
    Replay,
    ShortDigest,
    Terms,
    idempotency_name,
    short_digest,
)
from swarmfn.jobs.uploads import Upload
from swarmfn.upstream import Names
from swarmfn.wire.call_ids import new_call_id
from swarmfn.wire.callback_guard import ANYWHERE, CallbackGuard
from swarmfn.wire.errors import (
    QueueUnavailable,
    TooLarge,
)
from swarmfn.wire.headers import (
    CALL_ID,
    CALLBACK_URL,
    DELAY,
    IDEMPOTENT_REPLAY,
    MAX_AGE,
    MAX_HOPS,
    PARENT_CALL_ID,
    PRIORITY,
    RUN_AT,
    START_TIME,
    Headers,
)
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.policies import NO_POLICY
from swarmfn.wire.priorities import priority_queue
from swarmfn.wire.replicas import ReplicaTable, Route, find_route

_NOT_STORED = frozenset(name.lower().encode() for name in (CALLBACK_URL, DELAY, MAX_AGE, PRIORITY, RUN_AT)) | {
    CALL_ID.encode(),
    START_TIME.encode(),
}
"""As forwarding names them: a client's headers in lower case, ours as we write them."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has set for all asynchronous calls. idempotency_window: seconds a key is remembered; max_delay:
    seconds a call may be put off for, and max_put_off how many may be, 0 for any number; max_depth, max_queue_age: of a
    queue, see Policy; guard: where callbacks may go; max_hops: how many of them in a row."""

    idempotency_window: float = 86400.0
    max_delay: float = 30 * 86400.0
    max_put_off: int = 0
    max_depth: int = 0
    max_queue_age: float = 0.0
    guard: CallbackGuard = ANYWHERE
    max_hops: int = MAX_HOPS


class CheckedCall(NamedTuple):
    """A call that may be stored as soon as its body is there."""

    route: Route
    options: CallOptions


class Accepted(NamedTuple):
    """The id that stands for the call; is_replay: it is an earlier one's, with the same idempotency key."""

    call_id: str
    is_replay: bool = False

    def headers(self, incoming: Incoming) -> RawHeaders:
        """Those of the 202."""
        headers = forwarding.call_headers(incoming, self.call_id)
        headers.append((b"Location", f"/async-function/{self.call_id}".encode()))
        if self.is_replay:
            headers.append((IDEMPOTENT_REPLAY.encode(), b"true"))
        return headers


class CallStore(UploadStore, Protocol):
    """Where calls are stored; see Submissions."""

    async def probe(self, invocation: Invocation, terms: Terms) -> bool | Replay | Full: ...
    async def submit(self, invocation: Invocation, body: bytes | Upload, terms: Terms) -> bool | Replay | Full: ...


class Asynchronous:
    """Accepts asynchronous calls. `max_body` is in bytes; `own` are the gateway's credentials, which are not stored;
    `capacity` tells how much may still be stored, `unfinished` is the budget for what is half-way to Redis."""

    def __init__(
        self,
        table: Callable[[], ReplicaTable],
        store: CallStore,
        max_body: int,
        rules: Rules | None = None,
        own: Credentials | None = None,
        capacity: QueueCapacity | None = None,
        unfinished: BodyBudget | None = None,
    ) -> None:
        self._table = table
        self._store = store
        self._max_body = max_body
        self._rules = rules or Rules()
        self._own = own
        self._capacity = capacity or QueueCapacity(None, 0, self._rules.max_depth)
        self._uploads = Uploads(store, self._capacity, unfinished or BodyBudget(max_body), max_body)
        self._takes_any_age = not self._rules.max_queue_age
        self._callbacks = CallbackChecks(self._rules.guard, Names())

    def check(self, incoming: Incoming) -> CheckedCall:
        """What can be refused before the body is read. Raises FunctionNotFound, InvalidRequest, TooLarge or
        QueueUnavailable."""
        route = find_route(self._table(), incoming.name)
        if incoming.length is not None and incoming.length > self._max_body:
            raise self._too_large()
        if incoming.length is None or incoming.length > SMALL_BODY:
            self._capacity.require(incoming.length or 0)
        return CheckedCall(route, options_of(incoming, self._rules.max_delay, self._callbacks))

    async def accept(self, incoming: Incoming, checked: CheckedCall, call_id: str, body: bytes) -> Accepted:
        """Stores the call, by preference as `call_id`, and returns once Redis has acknowledged it.

        Raises QueueUnavailable; if only the acknowledgement was lost, the call is stored as `call_id` anyway.
        Raises InvalidRequest, KeyReused or Overloaded.
        """
        if checked.options.callback_url:
            await self._callbacks.check_addresses(checked.options.callback_url)
        depth = self._capacity.depth_limit(checked.route.queue)
        if checked.options is NO_OPTIONS and checked.route.policy is NO_POLICY and self._takes_any_age and not depth:
            terms = PLAIN
        else:
            terms = self._terms(incoming, checked, body, depth)
        # Many bodies may have come in since the first look, this one without a word of its length.
        self._capacity.take(len(body))
        try:
            stored = await self._store.submit(self._invocation(incoming, checked, call_id), body, terms)
            if stored is not True:
                return await self._instead(stored, incoming, checked, body, terms)
        finally:
            self._capacity.settle(len(body))
        return Accepted(call_id)

    async def accept_as_it_comes(
        self,
        incoming: Incoming,
        checked: CheckedCall,
        call_id: str,
        first: bytes,
        chunks: AsyncIterator[bytes],
        bodies: BodyBudget,
    ) -> Accepted:
        """The same for a body of which `first` is there, and `chunks` yields the rest. What is in memory of it counts
        towards `bodies`: all of it up to WHOLE bytes, else a piece, for then it goes to Redis as it comes.

        Besides, it raises TooLarge as soon as the body is over the limit, Unavailable when there is no room for it, and
        what `chunks` raises; nothing of it stays in Redis then.
        """
        beginning = Beginning(first, self._within_limit(len(first), chunks))
        with bodies.hold_for(incoming, held_of(incoming)) as held:
            if incoming.length is None or incoming.length <= WHOLE:
                body = await beginning.gather(held)
                if body is not None:
                    return await self.accept(incoming, checked, call_id, body)
            return await self._accept_in_pieces(incoming, checked, call_id, beginning.pieces())

    async def _within_limit(self, size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max_body:
                raise self._too_large()
            yield chunk

    async def _accept_in_pieces(
        self, incoming: Incoming, checked: CheckedCall, call_id: str, pieces: AsyncIterator[bytes]
    ) -> Accepted:
        with self._uploads.reserve(incoming) as reserved:
            terms = await self._terms_before_the_body(incoming, checked, call_id)
            with self._uploads.begin(call_id, reserved) as upload:
                key = await self._fill(upload, incoming, checked, pieces)
                terms = replace(terms, idempotency=key)
                invocation = self._invocation(incoming, checked, call_id)
                stored = await self._store.submit(invocation, upload.body, terms)
                if stored is not True:
                    return await self._instead(stored, incoming, checked, upload.body, terms)
                return Accepted(call_id)

    async def _terms_before_the_body(self, incoming: Incoming, checked: CheckedCall, call_id: str) -> Terms:
        """Raises what can be known to stand against the call already: Redis is not sent a large body only to refuse
        it."""
        if checked.options.callback_url:
            await self._callbacks.check_addresses(checked.options.callback_url)
        terms = self._terms_with(None, checked, self._capacity.depth_limit(checked.route.queue))
        if checked.options.idempotency_key:
            return terms  # it may be known, which goes before any limit, and cannot be told without the body
        would = await self._store.probe(self._invocation(incoming, checked, call_id), terms)
        if isinstance(would, Full):
            raise overloaded(checked.route, terms.limits, would, terms.max_put_off)
        return terms

    async def _fill(
        self, upload: Unfinished, incoming: Incoming, checked: CheckedCall, pieces: AsyncIterator[bytes]
    ) -> IdempotencyKey | None:
        if not checked.options.idempotency_key:
            await upload.fill(pieces)
            return None
        if incoming.length is None:
            # The digest begins with the length, which is not known before the end.
            await upload.fill(pieces)
            digest = ShortDigest(_request(incoming), len(upload.body))
            await digest.read(upload.body.pieces())
        else:
            digest = ShortDigest(_request(incoming), incoming.length)
            await upload.fill(digest.read_through(pieces))
        return self._idempotency_key(checked, digest.text())

    async def _instead(
        self, stored: bool | Replay | Full, incoming: Incoming, checked: CheckedCall, body: bytes | Upload, terms: Terms
    ) -> Accepted:
        """What happens to a call that was not stored at once."""
        if stored is False:
            # The id is on record already (a callback carries its call's id, and functions forward headers).
            call_id = new_call_id()
            stored = await self._store.submit(self._invocation(incoming, checked, call_id), body, terms)
            if stored is True:
                return Accepted(call_id)
        if isinstance(stored, Replay):
            return Accepted(stored.call_id, is_replay=True)
        if isinstance(stored, Full):
            raise overloaded(checked.route, terms.limits, stored, terms.max_put_off)
        # Two random ids in a row are never taken; whatever refuses them, a 202 would be a lie.
        raise QueueUnavailable("the queue refused the call; nothing was accepted.", "Try again shortly.")

    def _terms(self, incoming: Incoming, checked: CheckedCall, body: bytes, max_depth: int) -> Terms:
        key = None
        if checked.options.idempotency_key:
            key = self._idempotency_key(checked, short_digest(*_request(incoming), body))
        return self._terms_with(key, checked, max_depth)

    def _terms_with(self, key: IdempotencyKey | None, checked: CheckedCall, max_depth: int) -> Terms:
        options = checked.options
        limits = limits_of(checked.route, max_depth, self._rules.max_queue_age)
        return Terms(key, options.delay, options.run_at, options.max_age, limits, self._rules.max_put_off)

    def _idempotency_key(self, checked: CheckedCall, fingerprint: str) -> IdempotencyKey:
        name = idempotency_name(checked.route.name, checked.options.idempotency_key)
        return IdempotencyKey(name, fingerprint, self._rules.idempotency_window)

    def _invocation(self, incoming: Incoming, checked: CheckedCall, call_id: str) -> Invocation:
        route = checked.route
        received = incoming.header(b"x-call-id")
        headers = _stored_headers(incoming, call_id, self._own, self._rules.max_hops)
        if received and received != call_id:
            headers = [(name, value) for name, value in headers if name.lower() != PARENT_CALL_ID.lower()]
            headers.append((PARENT_CALL_ID, received))
        return Invocation(
            call_id=call_id,
            function=route.name,
            queue=route.queue
            if checked.options is NO_OPTIONS
            else priority_queue(route.queue, checked.options.priority),
            invoked_as=incoming.name,
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=headers,
            exec_timeout=route.exec_timeout,
            start_time=incoming.start_time,
            callback_url=checked.options.callback_url,
            retry=route.policy.retry,
        )

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the body is over the limit of {self._max_body} bytes (async_max_body).",
            "Store the data elsewhere and send its address, or raise the limit.",
        )


def _request(incoming: Incoming) -> tuple[bytes, bytes]:
    """What a request with an idempotency key is known by, besides its body."""
    return incoming.path.encode("latin-1"), incoming.query.encode("latin-1")


def _stored_headers(incoming: Incoming, call_id: str, own: Credentials | None, max_hops: int) -> Headers:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in forwarding.to_function(incoming, call_id, own, max_hops)
        if name not in _NOT_STORED
    ]
