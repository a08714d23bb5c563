"""An asynchronous call: check it, store it, say 202; and what can be asked about it later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.invoke import forwarding
from gateway.invoke.incoming import Incoming
from gateway.invoke.waiting import Waiting
from swarmfn.jobs.records import Record, moment
from swarmfn.jobs.submissions import Submissions
from swarmfn.wire.call_ids import new_call_id
from swarmfn.wire.durations import format_duration
from swarmfn.wire.errors import (
    AlreadyEnded,
    FunctionNotFound,
    InvalidRequest,
    InvocationNotFound,
    QueueUnavailable,
    TooLarge,
)
from swarmfn.wire.headers import (
    CALL_ID,
    CALLBACK_URL,
    CREDENTIALS,
    FUNCTION_NAME,
    PARENT_CALL_ID,
    Headers,
    end_to_end,
)
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.names import function_name
from swarmfn.wire.replicas import ReplicaTable, Route

_NOT_STORED = frozenset({CALLBACK_URL.lower(), "x-call-id", "x-start-time"})
_NOT_IN_RESULT = CREDENTIALS | {"content-length", CALL_ID.lower(), FUNCTION_NAME.lower()}
_MAX_URL = 8192

Found = TypeVar("Found")


class Asynchronous:
    """Accepts asynchronous calls, and says what became of them. `max_body` is in bytes, `longest_wait` in seconds."""

    def __init__(
        self, table: Callable[[], ReplicaTable], submissions: Submissions, max_body: int, longest_wait: float = 60.0
    ) -> None:
        self._table = table
        self._submissions = submissions
        self._max_body = max_body
        self._longest_wait = longest_wait
        self._waiting = Waiting(submissions)

    def check(self, incoming: Incoming) -> Route:
        """What can be refused before the body is read. Raises FunctionNotFound, InvalidRequest or TooLarge."""
        name = function_name(incoming.name)
        route = self._table().get(name)
        if route is None:
            raise FunctionNotFound(name)
        if incoming.length is not None and incoming.length > self._max_body:
            raise self._too_large()
        callback = incoming.header(b"x-callback-url")
        if callback:
            check_callback(callback)
        return route

    async def read(self, chunks: AsyncIterator[bytes]) -> bytes:
        """The whole body. Raises TooLarge as soon as it is over the limit."""
        # Unlike a list of pieces that is joined at the end, it never holds the body twice.
        body = BytesIO()
        async for chunk in chunks:
            body.write(chunk)
            if body.tell() > self._max_body:
                raise self._too_large()
        return body.getvalue()

    async def accept(self, incoming: Incoming, route: Route, call_id: str, body: bytes) -> str:
        """Stores the call, by preference as `call_id`; returns the id it has, once Redis has acknowledged it.

        Raises QueueUnavailable; if only the acknowledgement was lost, the call is stored as `call_id` all the same.
        """
        received = incoming.header(b"x-call-id")
        if await self._submissions.submit(self._invocation(incoming, route, call_id, received), body):
            return call_id
        # The id is on record already (a callback carries its call's id, and functions forward headers).
        fresh = new_call_id()
        if not await self._submissions.submit(self._invocation(incoming, route, fresh, received), body):
            # Two random ids in a row are never taken; whatever refuses them, a 202 would be a lie.
            raise QueueUnavailable("the queue refused the call; nothing was accepted.", "Try again shortly.")
        return fresh

    async def status(self, call_id: str) -> dict[str, Any]:
        """What is known about a call, for JSON. Raises InvocationNotFound or QueueUnavailable."""
        record = await self.record(call_id)
        document = describe(record)
        if record.state == "queued":
            position = await _read(self._submissions.position(record))
            if position is not None:
                document["queuePosition"] = position
        elif record.state == "retrying":
            due = await _read(self._submissions.due(record))
            if due is not None:
                document["nextAttemptAt"] = moment(due)
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
        """Whoever waits gets the answer of now. Call it on the event loop."""
        self._waiting.stop()

    async def record(self, call_id: str) -> Record:
        """Raises InvocationNotFound or QueueUnavailable."""
        record = await _read(self._submissions.record(call_id)) if len(call_id) <= 64 else None
        if record is None:
            raise _not_found(call_id)
        return record

    async def cancel(self, call_id: str) -> None:
        """Ends a call that has not ended; a run is stopped within a fraction of a second. Raises InvocationNotFound,
        AlreadyEnded or QueueUnavailable."""
        was = await _read(self._submissions.cancel(call_id)) if len(call_id) <= 64 else "unknown"
        if was == "unknown":
            raise _not_found(call_id)
        if was == "final":
            raise AlreadyEnded(f'call "{call_id}" has ended already.', "Its status says how.")

    async def answer(self, record: Record) -> bytes:
        """The kept body of a final call's response. Raises QueueUnavailable."""
        return await _read(self._submissions.answer(record))

    def _invocation(self, incoming: Incoming, route: Route, call_id: str, received: str) -> Invocation:
        headers = _stored_headers(incoming, call_id)
        if received and received != call_id:
            headers = [(name, value) for name, value in headers if name.lower() != PARENT_CALL_ID.lower()]
            headers.append((PARENT_CALL_ID, received))
        return Invocation(
            call_id=call_id,
            function=route.name,
            queue=route.queue,
            invoked_as=incoming.name,
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=headers,
            exec_timeout=route.exec_timeout,
            start_time=incoming.start_time,
            callback_url=incoming.header(b"x-callback-url"),
            retry=route.policy.retry,
        )

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the body is over the limit of {self._max_body} bytes (async_max_body).",
            "Store the data elsewhere and send its address, or raise the limit.",
        )


def _not_found(call_id: str) -> InvocationNotFound:
    return InvocationNotFound(
        f'no call "{call_id[:100]}" is on record.', "Records are kept for a while after the end (result_ttl)."
    )


async def _read(reading: Coroutine[Any, Any, Found]) -> Found:
    try:
        return await reading
    except QueueUnavailable as exc:
        raise QueueUnavailable(
            "the queue (Redis) does not answer; nothing is known of any call just now.", exc.hint, exc.retry_after
        ) from exc


def check_callback(url: str) -> None:
    """Raises InvalidRequest unless `url` is an absolute http(s) URL."""
    problem = _callback_problem(url)
    if problem:
        raise InvalidRequest(
            f"{CALLBACK_URL}: {problem}.", "Send an absolute URL such as http://gateway:8080/function/NAME."
        )


def _callback_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        return f"{url[:200]!r} is not a URL ({exc})"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{url[:200]!r} is not an absolute http or https URL"
    if port == 0 or len(url) > _MAX_URL:
        return f"{url[:200]!r} cannot be called"
    if not all("!" <= char <= "~" for char in url):
        return f"{url[:200]!r} holds characters that must be percent-encoded"
    if "@" in parts.netloc:
        return "user names and passwords in the URL are not supported"
    return ""


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
    optional = {"startedAt": record.started_at, "endedAt": record.ended_at}
    document.update({key: value for key, value in optional.items() if value})
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
            "url": _without_query(record.callback_url),
            "state": record.callback_state or "waiting for the call to end",
        }
    return document


def result_headers(record: Record) -> Headers:
    """The kept headers of a final call's response, without credentials, and what the platform knows of it."""
    kept = [] if record.response is None else end_to_end(record.response.headers)
    headers = [(name, value) for name, value in kept if name.lower() not in _NOT_IN_RESULT]
    if record.response is not None and record.response.is_truncated:
        headers.append(("X-Result-Truncated", "true"))
    return [*headers, (CALL_ID, record.call_id), (FUNCTION_NAME, record.function)]


def _without_query(url: str) -> str:
    # Receivers often put a token there.
    return url.partition("?")[0]


def _stored_headers(incoming: Incoming, call_id: str) -> Headers:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in forwarding.to_function(incoming, call_id)
        if name.decode("latin-1").lower() not in _NOT_STORED
    ]
