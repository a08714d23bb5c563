"""/system/invocations: which calls there are, what failed, running it again, and taking it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from flask import Blueprint, Response, jsonify, request
from redis import Redis

from gateway.api.json_bodies import read_object
from gateway.api.selections import ChosenCalls, chosen_calls, encode_cursor, list_request
from gateway.invoke.descriptions import full, summary
from swarmfn.jobs.calls_by_state import PURGEABLE, REDRIVABLE, CallsByState
from swarmfn.wire.errors import InvalidRequest, InvocationNotFound

_AT_MOST = 10.0
"""Seconds that one request may go on redriving or purging."""


def invocation_routes(connection: Redis) -> Blueprint:
    """The routes under /system/invocations. `connection` should have time limits."""
    views = _InvocationViews(CallsByState(connection))
    routes = Blueprint("invocations", __name__, url_prefix="/system/invocations")
    routes.get("")(views.page)
    routes.get("/<call_id>")(views.show)
    routes.post("/redrive")(views.redrive)
    routes.route("/purge", methods=["POST", "DELETE"])(views.purge)
    return routes


class _InvocationViews:
    def __init__(self, calls: CallsByState) -> None:
        self._calls = calls

    def page(self) -> Response:
        listing = list_request(_single(request.args.to_dict(flat=False)))
        page = self._calls.page(listing.selection, listing.limit, listing.cursor)
        document: dict[str, Any] = {"invocations": [summary(record) for record in page.records]}
        if page.cursor is not None:
            document["next"] = encode_cursor(page.cursor)
        return jsonify(document)

    def show(self, call_id: str) -> Response:
        record = self._calls.records([call_id])[0] if len(call_id) <= 64 else None
        if record is None:
            raise InvocationNotFound(
                f'no call "{call_id[:100]}" is on record.', "Records expire some time after the end."
            )
        return jsonify(full(record, self._calls.call(call_id), self._calls.body_size(call_id)))

    def redrive(self) -> Response:
        chosen = _chosen(REDRIVABLE)
        if chosen.selection is None:
            return _told("redriven", chosen.ids, self._calls.redrive(chosen.ids))
        done = self._calls.redrive_all(chosen.selection, _AT_MOST)
        return _counted("redriven", done.replies, done.is_complete)

    def purge(self) -> Response:
        chosen = _chosen(PURGEABLE)
        if chosen.selection is None:
            return _told("purged", chosen.ids, self._calls.purge(chosen.ids))
        done = self._calls.purge_all(chosen.selection, _AT_MOST)
        return _counted("purged", done.replies, done.is_complete)


def _chosen(states: Collection[str]) -> ChosenCalls:
    """From the body, or from the query when there is no body."""
    if request.content_length or request.headers.get("Transfer-Encoding"):
        if request.args:
            raise InvalidRequest("both the query and the body select calls.", "Use one of them.")
        return chosen_calls(read_object(request), states)
    return chosen_calls(_single(request.args.to_dict(flat=False)), states)


def _single(query: dict[str, list[str]]) -> dict[str, str]:
    for name, values in query.items():
        if len(values) > 1:
            raise InvalidRequest(f"{name[:100]}: given {len(values)} times.")
    return {name: values[0] for name, values in query.items()}


def _told(event: str, ids: Collection[str], replies: list[str]) -> Response:
    results = {call_id: _reply(reply) for call_id, reply in zip(ids, replies, strict=True)}
    return jsonify({event: replies.count(event), "results": results})


def _counted(event: str, replies: Counter[str], is_complete: bool) -> Response:
    left: Counter[str] = Counter()
    for reply, number in replies.items():
        if reply != event:
            left[_reply(reply)] += number
    return jsonify({event: replies[event], "skipped": dict(left), "complete": is_complete})


def _reply(reply: str) -> str:
    # Anything else is a sentence of Redis's own about why it refused.
    return reply if reply.isalpha() and reply.islower() else "refused"
