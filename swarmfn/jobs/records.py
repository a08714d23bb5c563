"""What the queue knows about one call, as others may read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from swarmfn.wire.errors import NewerLayout
from swarmfn.wire.invocations import Attempt, StoredResponse, require_known_layout
from swarmfn.wire.policies import RetryPolicy

FIELDS = (
    "status",
    "state",
    "call",
    "created_at",
    "started_at",
    "ended_at",
    "origin",
    "attempts",
    "failures",
    "interruptions",
    "delivery",
    "callback",
    "response",
    "large_answer",
    "expires",
)
"""The fields of a job's hash that say how it fares; bodies are not among them."""

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError)
"""What damaged fields raise; a record says what can still be read."""

_LIVE_STATES = {
    "queued": "queued",
    "started": "running",
    "scheduled": "retrying",
    "canceled": "cancelled",
    "finished": "succeeded",
    "failed": "failed",
    "stopped": "failed",
    "deferred": "queued",
}


@dataclass(frozen=True)
class Record:
    """One call as the queue knows it, or one callback's delivery, which `reports` a call to a `receiver`. Times are
    RFC 3339 text in UTC, or "" for what has not happened."""

    call_id: str
    function: str
    queue: str
    state: str
    created_at: str
    started_at: str
    ended_at: str
    attempts: tuple[dict[str, Any], ...]
    platform_failures: int
    interruptions: int
    callback_url: str
    callback_state: str
    delivery_id: str
    response: StoredResponse | None
    has_large_answer: bool
    retry: RetryPolicy | None = None
    reports: str = ""
    receiver: str = ""
    expires_at: str = ""

    @property
    def is_final(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled", "expired")


def record_of(call_id: str, values: list[bytes | None]) -> Record | None:
    """The record in the values of FIELDS; None when there is no such call, or it is not one of ours. Raises
    NewerLayout."""
    fields = {
        name: value.decode("utf-8", "replace") if value else "" for name, value in zip(FIELDS, values, strict=True)
    }
    try:
        call = json.loads(fields["call"])
        require_known_layout(call.get("v"))
        function, callback_url = call["fn"], call.get("cb", "")
        reports, receiver = str(call.get("of", "")), str(call.get("to", ""))
    except _UNREADABLE:
        return None
    if not isinstance(function, str) or not isinstance(callback_url, str):
        return None
    return Record(
        call_id=call_id,
        function=function,
        queue=fields["origin"],
        state=fields["state"] if fields["status"] in ("finished", "failed") and fields["state"] else _state(fields),
        created_at=fields["created_at"],
        started_at=fields["started_at"],
        ended_at=fields["ended_at"],
        attempts=tuple(_attempts(fields["attempts"])),
        platform_failures=_count(fields["failures"]),
        interruptions=_count(fields["interruptions"]),
        callback_url=callback_url,
        callback_state=fields["callback"],
        delivery_id=fields["delivery"],
        response=_response(fields["response"]),
        has_large_answer=bool(fields["large_answer"]),
        retry=_retry(call.get("r")),
        reports=reports,
        receiver=receiver,
        expires_at=_moment(fields["expires"]),
    )


def _state(fields: dict[str, str]) -> str:
    if fields["status"] == "scheduled" and not fields["started_at"]:
        return "scheduled"  # it has never run: not put off, but asked for later
    return _LIVE_STATES.get(fields["status"], fields["status"])


def _moment(text: str) -> str:
    try:
        return moment(float(text)) if text else ""
    except _UNREADABLE:
        return ""


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def _response(text: str) -> StoredResponse | None:
    try:
        return StoredResponse.from_json(text.encode()) if text else None
    except (*_UNREADABLE, NewerLayout):
        return None


def _retry(document: Any) -> RetryPolicy | None:
    try:
        return RetryPolicy.from_json(document) if document else None
    except _UNREADABLE:
        return None


def _attempts(text: str) -> list[dict[str, Any]]:
    try:
        attempts = [Attempt.from_json(document) for document in json.loads(text)] if text else []
        return [{**attempt.to_json(), "at": moment(attempt.at)} for attempt in attempts]
    except _UNREADABLE:
        return []


def moment(seconds: float) -> str:
    """Unix `seconds` as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
