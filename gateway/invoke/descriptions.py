"""Calls as clients and as an operator see them. Nothing here shows a body, or a header that holds credentials. Where a
callback goes an operator sees whole, secrets of the receiver included, except a user and password in its URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmfn.jobs.records import Record
from swarmfn.wire.callback_urls import origin_of, without_credentials
from swarmfn.wire.durations import format_duration
from swarmfn.wire.headers import CREDENTIALS
from swarmfn.wire.priorities import NORMAL, split_priority

NOT_SHOWN = "(not shown)"

_NO_CALLBACK = {False: "waiting for the call to end", True: "none is sent, because no worker has ended the call"}
"""By whether the call has ended."""


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
    priority = split_priority(record.queue)[1]
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


def summary(record: Record) -> dict[str, Any]:
    """A record in a list: who, how and when."""
    document: dict[str, Any] = {**_identity(record), "state": _state(record), "createdAt": record.created_at}
    times = {"startedAt": record.started_at, "endedAt": record.ended_at}
    document.update({key: value for key, value in times.items() if value})
    document["attempts"] = len(record.attempts)
    if record.attempts:
        last = record.attempts[-1]
        document["lastStatus"] = last["status"]
        if "problem" in last:
            document["lastProblem"] = last["problem"]
    if record.callback_state:
        document["callback"] = record.callback_state
    return document


def full(record: Record, call: Mapping[str, Any], body_size: int) -> dict[str, Any]:
    """Everything that is known of one call or callback; `call` is what its job was stored with."""
    document = {**describe(record), **_identity(record), "state": _state(record)}
    if record.callback_url:
        document["callback"]["url"] = without_credentials(record.callback_url)
    headers = [[name, NOT_SHOWN if str(name).lower() in CREDENTIALS else value] for name, value in _pairs(call)]
    sent: dict[str, Any] = {"headers": headers, "bodySize": body_size}
    if not record.reports:
        sent = {"method": call.get("m"), "path": call.get("p", "/"), "query": call.get("q", ""), **sent}
    return {**document, "request": sent}


def _identity(record: Record) -> dict[str, Any]:
    if record.reports:
        return {
            "callId": record.call_id,
            "reports": record.reports,
            "function": record.function,
            "receiver": without_credentials(record.receiver),
        }
    return {"callId": record.call_id, "function": record.function, "queue": record.queue}


def _state(record: Record) -> str:
    if not record.reports:
        return record.state
    return {"succeeded": "delivered", "failed": "undelivered"}.get(record.state, record.state)


def _pairs(call: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    headers = call.get("h")
    pairs = headers if isinstance(headers, list) else []
    return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2]
