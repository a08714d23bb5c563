"""Which calls a request means: from its query, or from the JSON in its body."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from swarmfn.jobs.calls_by_state import INDEXED_STATES, STATES, Selection
from swarmfn.jobs.listing import Cursor
from swarmfn.wire.durations import parse_duration
from swarmfn.wire.errors import FunctionNotFound, InvalidRequest
from swarmfn.wire.moments import parse_moment
from swarmfn.wire.names import function_name

MOST_IDS = 10_000
MOST_ON_A_PAGE = 1000
_ON_A_PAGE = 50
_SELECTING = frozenset({"state", "function", "since", "until", "age"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIMES = ("since", "until", "age")
_UNESCAPED_PLUS = re.compile(r" (?=\d\d:\d\d$)")


@dataclass(frozen=True)
class ChosenCalls:
    """Certain calls, or all of a selection."""

    ids: tuple[str, ...] = ()
    selection: Selection | None = None


@dataclass(frozen=True)
class ListRequest:
    """One page of a selection."""

    selection: Selection
    limit: int
    cursor: Cursor | None


def list_request(query: Mapping[str, str]) -> ListRequest:
    """What GET /system/invocations asks for. Raises InvalidRequest that names the field."""
    _refuse_unknown(query, _SELECTING | {"limit", "cursor"})
    limit = query.get("limit", str(_ON_A_PAGE))
    if not limit.isdecimal() or len(limit) > 6 or not 1 <= int(limit) <= MOST_ON_A_PAGE:
        raise InvalidRequest(f"limit: expected a number from 1 to {MOST_ON_A_PAGE}, got {limit!r:.100}.")
    selection, text = _selection(query, STATES), query.get("cursor", "")
    cursor = decode_cursor(text) if text else None
    # Only a page of queues is continued in one of them.
    if cursor and bool(cursor.key) != (selection.state == "queued"):
        raise _bad_cursor(text)
    return ListRequest(selection, int(limit), cursor)


def chosen_calls(fields: Mapping[str, Any], states: Collection[str]) -> ChosenCalls:
    """What a redrive or purge is to act on, with one of `states`. Raises InvalidRequest that names the field."""
    _refuse_unknown(fields, _SELECTING | {"id", "ids", "all"})
    named = [name for name in ("id", "ids") if name in fields]
    if named and len(fields) > 1:
        raise InvalidRequest(
            f"{named[0]} cannot be combined with other fields.", "Send ids, or fields that select calls."
        )
    if named:
        return ChosenCalls(ids=_ids(named[0], fields[named[0]]))
    if "all" in fields and fields["all"] not in (True, "true", "1"):
        raise InvalidRequest(f"all: expected true, got {fields['all']!r:.100}.")
    if not fields.keys() - {"state"}:
        # A slip must not mean everything there is.
        raise InvalidRequest(
            "the request does not say which calls.", "Send id, ids, function, since, until, age, or all."
        )
    return ChosenCalls(selection=_selection(fields, states))


def encode_cursor(cursor: Cursor) -> str:
    text = json.dumps([cursor.key, repr(cursor.number), cursor.member], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Raises InvalidRequest for what `encode_cursor` has not made."""
    try:
        key, number, member = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        cursor = Cursor(str(key), float(number), str(member))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _bad_cursor(text) from None
    if math.isnan(cursor.number) or (cursor.key and not 0 <= cursor.number < 1e15):
        raise _bad_cursor(text)
    return cursor


def _bad_cursor(text: str) -> InvalidRequest:
    return InvalidRequest(f"cursor: {text!r:.100} is not valid.", 'Send the "next" of the previous page.')


def _selection(fields: Mapping[str, Any], states: Collection[str]) -> Selection:
    state = fields.get("state", "failed")
    if state not in states:
        raise InvalidRequest(f"state: expected one of {', '.join(states)}, got {state!r:.100}.")
    given = [name for name in _TIMES if name in fields]
    if given and state not in INDEXED_STATES:
        raise InvalidRequest(f"{given[0]} can only be used with the states {', '.join(INDEXED_STATES)}.")
    since, until = (_moment(name, fields[name]) if name in fields else None for name in ("since", "until"))
    if "age" in fields:
        if since is not None:
            raise InvalidRequest("age cannot be combined with since.", "Both set where to begin.")
        since = time.time() - _age(fields["age"])
    return Selection(state, _function(fields["function"]) if "function" in fields else "", since, until)


def _function(name: Any) -> str:
    try:
        return function_name(name if isinstance(name, str) else "")
    except FunctionNotFound:
        raise InvalidRequest(f"function: {name!r:.100} is not the name of a function.") from None


def _moment(field: str, value: Any) -> float:
    """Unix seconds, or RFC 3339 text with its zone."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = _rfc3339(text)
    if not 0 <= seconds < 1e12:
        hint = "Send Unix seconds, or a time with its zone such as 2026-01-31T12:00:00Z."
        raise InvalidRequest(f"{field}: {value!r:.100} is not a time.", hint)
    return seconds


def _rfc3339(text: str) -> float:
    try:
        # In a query an unescaped + has become a space.
        return parse_moment(_UNESCAPED_PLUS.sub("+", text.strip()))
    except (ValueError, OverflowError):
        return math.nan


def _age(value: Any) -> float:
    try:
        return parse_duration(str(value))
    except ValueError as exc:
        raise InvalidRequest(f"age: {str(exc)[:200]}.") from exc


def _ids(field: str, value: Any) -> tuple[str, ...]:
    ids = value.split(",") if isinstance(value, str) else value
    if not isinstance(ids, list) or not ids or not all(_is_id(one) for one in ids):
        raise InvalidRequest(
            f"{field}: {value!r:.100} is not a list of call ids.", "They are made of A-Z a-z 0-9 _ and -."
        )
    if len(ids) > MOST_IDS:
        raise InvalidRequest(f"{field}: {len(ids)} ids are more than {MOST_IDS}.", "Send several requests.")
    return tuple(dict.fromkeys(ids))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _refuse_unknown(fields: Mapping[str, Any], known: Collection[str]) -> None:
    for name in fields:
        if name not in known:
            raise InvalidRequest(f"{name[:100]}: there is no such field.", f"There are {', '.join(sorted(known))}.")
