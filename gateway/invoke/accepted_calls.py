"""What can be asked about an asynchronous call after its 202: its status, its result, its end; and cancelling it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.invoke import result_pages
from gateway.invoke.descriptions import describe
from gateway.invoke.error_replies import error_with_status
from gateway.invoke.waiting import Waiting
from swarmfn.jobs.records import Record, moment
from swarmfn.jobs.redis_pools import Crowded
from swarmfn.jobs.submissions import AnswerPiece, Submissions
from swarmfn.wire.errors import AlreadyEnded, FaasError, InvocationNotFound, MethodNotPossible, QueueUnavailable
from swarmfn.wire.headers import CALL_ID, CREDENTIALS, FUNCTION_NAME, Headers, end_to_end
from swarmfn.wire.names import NAMESPACE
from swarmfn.wire.replicas import ReplicaTable

_NOT_IN_RESULT = CREDENTIALS | {"content-length", CALL_ID.lower(), FUNCTION_NAME.lower(), "trailers"}
"""`Trailers`, which is not a header of HTTP, because WSGI servers take it for one that no application may set."""

_PUT_OFF = {"scheduled": "runAt", "retrying": "nextAttemptAt"}
"""States of calls that wait for a moment, and what the status calls it."""

_NOT_ENDED = b"the call has not ended yet.\n"

Found = TypeVar("Found")


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


class AcceptedCalls:
    """Says what became of calls. `longest_wait` is in seconds."""

    def __init__(self, table: Callable[[], ReplicaTable], submissions: Submissions, longest_wait: float = 60.0) -> None:
        self._table = table
        self._submissions = submissions
        self._longest_wait = longest_wait
        self._waiting = Waiting(submissions)

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


async def _read(reading: Coroutine[Any, Any, Found]) -> Found:
    try:
        return await reading
    except QueueUnavailable as exc:
        reason = "is busy with others' requests" if isinstance(exc.__cause__, Crowded) else "does not answer"
        raise QueueUnavailable(
            f"the queue (Redis) {reason}; no call can be looked up right now.", exc.hint, exc.retry_after
        ) from exc


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
