"""Calls as an operator sees them. Nothing here shows a body, or a header that holds credentials; where a
callback goes is shown whole, secrets of the receiver included, except a user and password in its URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.invoke.asynchronous import describe
from swarmfn.jobs.records import Record
from swarmfn.wire.callback_urls import without_credentials
from swarmfn.wire.headers import CREDENTIALS

NOT_SHOWN = "(not shown)"


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
