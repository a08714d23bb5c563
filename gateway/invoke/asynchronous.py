"""An asynchronous call: check it, store it, say 202; and what can be asked about it later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from gateway.invoke import forwarding, result_pages
from gateway.invoke.admission import limits_of, overloaded
from gateway.invoke.asked import NOTHING, Asked, asked_by
from gateway.invoke.bodies import BodyBudget
from gateway.invoke.callbacks import Callbacks
from gateway.invoke.credentials import Credentials
from gateway.invoke.error_replies import error_with_status
from gateway.invoke.incoming import SMALL_BODY, Incoming, RawHeaders
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.invoke.uploads import WHOLE, Beginning, Unfinished, Uploads, held_of
from gateway.invoke.waiting import Waiting
from swarmfn.jobs.records import Record, moment
from swarmfn.jobs.redis_pools import Crowded
from swarmfn.jobs.submissions import AnswerPiece, Submissions
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
from swarmfn.wire.callback_urls import origin_of
from swarmfn.wire.durations import format_duration
from swarmfn.wire.errors import (
    AlreadyEnded,
    FaasError,
    InvocationNotFound,
    MethodNotPossible,
    QueueUnavailable,
    TooLarge,
)
from swarmfn.wire.headers import (
    CALL_ID,
    CALLBACK_URL,
    CREDENTIALS,
    DELAY,
    FUNCTION_NAME,
    IDEMPOTENT_REPLAY,
    MAX_AGE,
    MAX_HOPS,
    PARENT_CALL_ID,
    PRIORITY,
    RUN_AT,
    START_TIME,
    Headers,
    end_to_end,
)
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.names import NAMESPACE
from swarmfn.wire.policies import NO_POLICY
from swarmfn.wire.priorities import NORMAL, lane, split_lane
from swarmfn.wire.replicas import ReplicaTable, Route, find_route

_NOT_STORED = frozenset(name.lower().encode() for name in (CALLBACK_URL, DELAY, MAX_AGE, PRIORITY, RUN_AT)) | {
    CALL_ID.encode(),
    START_TIME.encode(),
}
"""As forwarding names them: a client's headers in lower case, ours as we write them."""

_NOT_IN_RESULT = CREDENTIALS | {"content-length", CALL_ID.lower(), FUNCTION_NAME.lower(), "trailers"}
"""`Trailers`, which is not a header of HTTP, because WSGI servers take it for one that no application may set."""

_PUT_OFF = {"scheduled": "runAt", "retrying": "nextAttemptAt"}
"""States of calls that wait for a moment, and what the status calls it."""

_NO_CALLBACK = {False: "waiting for the call to end", True: "none is sent, because no worker has ended the call"}
"""By whether the call has ended."""

_NOT_ENDED = b"the call has not ended yet.\n"

Found = TypeVar("Found")


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
    asked: Asked


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


@dataclass(frozen=True, slots=True)
class Result:
    """An answer about a stored result: `size` bytes, of which `first` is here and `rest` reads the others when they are
    asked for. `rest` raises a FaasError when there is no more of it, though there should be."""

    status: int
    headers: Headers
    first: bytes
    size: int
    rest: AsyncIterator[bytes] | None = None

    @property
    def is_whole(self) -> bool:
        return len(self.first) == self.size


class Asynchronous:
    """Accepts asynchronous calls, and says what became of them. `max_body` is in bytes, `longest_wait` in seconds;
    `own` are the gateway's credentials, which are not stored; `capacity` tells how much may still be stored,
    `unfinished` is the budget for what is half-way to Redis."""

    def __init__(
        self,
        table: Callable[[], ReplicaTable],
        submissions: Submissions,
        max_body: int,
        longest_wait: float = 60.0,
        rules: Rules | None = None,
        own: Credentials | None = None,
        capacity: QueueCapacity | None = None,
        unfinished: BodyBudget | None = None,
    ) -> None:
        self._table = table
        self._submissions = submissions
        self._max_body = max_body
        self._longest_wait = longest_wait
        self._rules = rules or Rules()
        self._own = own
        self._waiting = Waiting(submissions)
        self._capacity = capacity or QueueCapacity(None, 0, self._rules.max_depth)
        self._uploads = Uploads(submissions, self._capacity, unfinished or BodyBudget(max_body), max_body)
        self._takes_any_age = not self._rules.max_queue_age
        self._callbacks = Callbacks(self._rules.guard, Names())

    def check(self, incoming: Incoming) -> CheckedCall:
        """What can be refused before the body is read. Raises FunctionNotFound, InvalidRequest, TooLarge or
        QueueUnavailable."""
        route = find_route(self._table(), incoming.name)
        if incoming.length is not None and incoming.length > self._max_body:
            raise self._too_large()
        if incoming.length is None or incoming.length > SMALL_BODY:
            self._capacity.require(incoming.length or 0)
        return CheckedCall(route, asked_by(incoming, self._rules.max_delay, self._callbacks))

    async def accept(self, incoming: Incoming, checked: CheckedCall, call_id: str, body: bytes) -> Accepted:
        """Stores the call, by preference as `call_id`, and returns once Redis has acknowledged it.

        Raises QueueUnavailable; if only the acknowledgement was lost, the call is stored as `call_id` anyway.
        Raises InvalidRequest, KeyReused or Overloaded.
        """
        if checked.asked.callback_url:
            await self._callbacks.check_addresses(checked.asked.callback_url)
        depth = self._capacity.depth_limit(checked.route.queue)
        if checked.asked is NOTHING and checked.route.policy is NO_POLICY and self._takes_any_age and not depth:
            terms = PLAIN
        else:
            terms = self._terms(incoming, checked, body, depth)
        # Many bodies may have come in since the first look, this one without a word of its length.
        self._capacity.take(len(body))
        try:
            stored = await self._submissions.submit(self._invocation(incoming, checked, call_id), body, terms)
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
                stored = await self._submissions.submit(invocation, upload.body, terms)
                if stored is not True:
                    return await self._instead(stored, incoming, checked, upload.body, terms)
                return Accepted(call_id)

    async def _terms_before_the_body(self, incoming: Incoming, checked: CheckedCall, call_id: str) -> Terms:
        """Raises what can be known to stand against the call already: Redis is not sent a large body only to refuse
        it."""
        if checked.asked.callback_url:
            await self._callbacks.check_addresses(checked.asked.callback_url)
        terms = self._terms_with(None, checked, self._capacity.depth_limit(checked.route.queue))
        if checked.asked.idempotency_key:
            return terms  # it may be known, which goes before any limit, and cannot be told without the body
        would = await self._submissions.probe(self._invocation(incoming, checked, call_id), terms)
        if isinstance(would, Full):
            raise overloaded(checked.route, terms.limits, would, terms.max_put_off)
        return terms

    async def _fill(
        self, upload: Unfinished, incoming: Incoming, checked: CheckedCall, pieces: AsyncIterator[bytes]
    ) -> IdempotencyKey | None:
        if not checked.asked.idempotency_key:
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
            stored = await self._submissions.submit(self._invocation(incoming, checked, call_id), body, terms)
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
        if checked.asked.idempotency_key:
            key = self._idempotency_key(checked, short_digest(*_request(incoming), body))
        return self._terms_with(key, checked, max_depth)

    def _terms_with(self, key: IdempotencyKey | None, checked: CheckedCall, max_depth: int) -> Terms:
        asked = checked.asked
        limits = limits_of(checked.route, max_depth, self._rules.max_queue_age)
        return Terms(key, asked.delay, asked.run_at, asked.max_age, limits, self._rules.max_put_off)

    def _idempotency_key(self, checked: CheckedCall, fingerprint: str) -> IdempotencyKey:
        name = idempotency_name(checked.route.name, checked.asked.idempotency_key)
        return IdempotencyKey(name, fingerprint, self._rules.idempotency_window)

    async def status(self, call_id: str) -> dict[str, Any]:
        """What is known about a call, for JSON. Raises InvocationNotFound or QueueUnavailable."""
        record = await self.record(call_id)
        document = describe(record)
        if record.state == "queued":
            position = await _read(self._submissions.position(record))
            if position is not None:
                document["queuePosition"] = position
        elif record.state in _PUT_OFF:
            due = await _read(self._submissions.due(record))
            if due is not None:
                document[_PUT_OFF[record.state]] = moment(due)
        route = self._table().get(record.function)
        if route is not None and route.policy.warnings:
            document["warnings"] = list(route.policy.warnings)
        return document

    async def wait(self, call_id: str, seconds: float) -> None:
        """Returns when the call has ended, or there is no use in waiting any longer; after `longest_wait` at the
        latest."""
        if len(call_id) <= 64:
            await self._waiting.until_ended(call_id, min(seconds, self._longest_wait))

    def stop_waiting(self) -> None:
        """All that wait get the present answer. Call it on the event loop."""
        self._waiting.stop()

    async def record(self, call_id: str) -> Record:
        """Raises InvocationNotFound, MethodNotPossible for a function's name, or QueueUnavailable."""
        record = await _read(self._submissions.record(call_id)) if len(call_id) <= 64 else None
        if record is None:
            raise self._unknown(call_id, "GET")
        return record

    def _unknown(self, call_id: str, method: str) -> FaasError:
        """There is no such call; maybe a function was meant, as by somebody's curl without a body, which is a GET."""
        if call_id.removesuffix(f".{NAMESPACE}") not in self._table():
            return _not_found(call_id)
        return MethodNotPossible(
            f'"{call_id}" is a function: to call it asynchronously send POST.',
            f"{method} needs the id of a call, which the answer to POST has in X-Call-Id.",
            "POST",
        )

    async def cancel(self, call_id: str) -> None:
        """Ends a call that has not ended; a run is stopped within a fraction of a second. Raises what `record` does,
        and AlreadyEnded."""
        was = await _read(self._submissions.cancel(call_id)) if len(call_id) <= 64 else "unknown"
        if was == "unknown":
            raise self._unknown(call_id, "DELETE")
        if was == "final":
            raise AlreadyEnded(f'call "{call_id}" has ended already.', "Its status says how.")

    async def result(self, call_id: str) -> Result:
        """What the function answered, or that it has not yet.

        Raises InvocationNotFound, QueueUnavailable, or a 503 for a call that no function has answered.
        """
        record = await self.record(call_id)
        if not record.is_final:
            return Result(202, [("Retry-After", "1"), ("Content-Type", "text/plain")], _NOT_ENDED, len(_NOT_ENDED))
        if record.response is None:
            raise error_with_status(
                503,
                f"the call ended as {record.state}, so there is no answer of the function to show.",
                "See its status.",
            )
        piece = await _read(self._submissions.answer_piece(record, 0))
        if piece is None:
            raise _not_found(call_id)
        return Result(record.response.status, result_headers(record), piece.data, piece.size, self._rest(record, piece))

    async def _rest(self, record: Record, first: AnswerPiece) -> AsyncIterator[bytes]:
        offset = len(first.data)
        while offset < first.size:
            piece = await _read(self._submissions.answer_piece(record, offset))
            if piece is None or piece.size != first.size:
                raise _not_found(record.call_id)
            yield piece.data
            offset += len(piece.data)

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
            queue=route.queue if checked.asked is NOTHING else lane(route.queue, checked.asked.priority),
            invoked_as=incoming.name,
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=headers,
            exec_timeout=route.exec_timeout,
            start_time=incoming.start_time,
            callback_url=checked.asked.callback_url,
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


async def _read(reading: Coroutine[Any, Any, Found]) -> Found:
    try:
        return await reading
    except QueueUnavailable as exc:
        reason = "is busy with others' requests" if isinstance(exc.__cause__, Crowded) else "does not answer"
        raise QueueUnavailable(
            f"the queue (Redis) {reason}; no call can be looked up right now.", exc.hint, exc.retry_after
        ) from exc


def describe(record: Record) -> dict[str, Any]:
    """A record as clients see it. Headers that hold credentials, and all request headers, stay out of it."""
    document: dict[str, Any] = {
        "callId": record.call_id,
        "function": record.function,
        "queue": record.queue,
        "state": record.state,
        "createdAt": record.created_at,
        "attempts": list(record.attempts),
        "platformFailures": record.platform_failures,
        "interruptions": record.interruptions,
    }
    optional = {"startedAt": record.started_at, "endedAt": record.ended_at, "expiresAt": record.expires_at}
    document.update({key: value for key, value in optional.items() if value})
    priority = split_lane(record.queue)[1]
    if priority != NORMAL:
        document["priority"] = priority
    if record.retry is not None:
        document["retry"] = {
            "attempts": record.retry.attempts,
            "codes": list(record.retry.codes),
            "minWait": format_duration(record.retry.min_wait),
            "maxWait": format_duration(record.retry.max_wait),
            "jitter": record.retry.jitter,
        }
    if record.response is not None:
        document["response"] = {
            "status": record.response.status,
            "size": record.response.size,
            "truncated": record.response.is_truncated,
        }
    if record.callback_url:
        document["callback"] = {
            "url": origin_of(record.callback_url),
            "state": record.callback_state or _NO_CALLBACK[record.is_final],
        }
    return document


def result_headers(record: Record) -> Headers:
    """The kept headers of a final call's response, without credentials, and what the platform knows of it."""
    kept = [] if record.response is None else end_to_end(record.response.headers)
    headers = [(name, value) for name, value in kept if name.lower() not in _NOT_IN_RESULT]
    if record.response is not None and record.response.is_truncated:
        headers.append(("X-Result-Truncated", "true"))
    headers += [(CALL_ID, record.call_id), (FUNCTION_NAME, record.function)]
    return result_pages.guarded(headers, record.function)


def _not_found(call_id: str) -> InvocationNotFound:
    return InvocationNotFound(
        f'no call "{call_id[:100]}" is on record.', "Records are kept for a while after the end (result_ttl)."
    )


def _stored_headers(incoming: Incoming, call_id: str, own: Credentials | None, max_hops: int) -> Headers:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in forwarding.to_function(incoming, call_id, own, max_hops)
        if name not in _NOT_STORED
    ]
