"""The options of an asynchronous call, which its headers give: read and checked before the body."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.invoke.callback_checks import CallbackChecks
from gateway.invoke.incoming import Incoming
from swarmfn.wire.durations import format_duration, parse_duration
from swarmfn.wire.errors import InvalidRequest
from swarmfn.wire.headers import CALLBACK_URL, DELAY, IDEMPOTENCY_KEY, MAX_AGE, PRIORITY, RUN_AT
from swarmfn.wire.moments import parse_moment
from swarmfn.wire.priorities import NORMAL, PRIORITIES

_NAMES = {name.lower().encode(): name for name in (CALLBACK_URL, DELAY, IDEMPOTENCY_KEY, MAX_AGE, PRIORITY, RUN_AT)}
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_PLAIN = re.compile(r"[!-~]+")
_LONGEST_KEY = 255
_SHORTEST_AGE = 0.001


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Each as its header gives it, checked; empty without the header. delay and max_age: seconds; run_at: Unix
    seconds."""

    callback_url: str = ""
    idempotency_key: str = ""
    delay: float = 0.0
    run_at: float = 0.0
    priority: str = NORMAL
    max_age: float = 0.0


NO_OPTIONS = CallOptions()


def options_of(incoming: Incoming, max_delay: float, callbacks: CallbackChecks) -> CallOptions:
    """Nothing runs later than `max_delay` seconds from now. Raises InvalidRequest that names the header and what it
    should hold."""
    for name, _ in incoming.headers:
        if name in _NAMES:
            return _options(incoming, max_delay, callbacks)
    return NO_OPTIONS  # as most calls do


def _options(incoming: Incoming, max_delay: float, callbacks: CallbackChecks) -> CallOptions:
    values: dict[str, str] = {}
    for name, value in incoming.headers:
        if name not in _NAMES:
            continue
        header = _NAMES[name]
        if header in values and header != CALLBACK_URL:
            raise InvalidRequest(f"{header}: given more than once.", "Send it once.")
        values.setdefault(header, value.decode("latin-1").strip())
    callback_url = values.get(CALLBACK_URL, "")
    if callback_url:
        callbacks.check(callback_url)
    if DELAY in values and RUN_AT in values:
        raise InvalidRequest(f"{DELAY}, {RUN_AT}: only one of the two can be given.", f"Leave out {DELAY}.")
    return CallOptions(
        callback_url=callback_url,
        idempotency_key=_key(values.get(IDEMPOTENCY_KEY)),
        delay=_delay(values, max_delay),
        run_at=_run_at(values, time.time() + max_delay),
        priority=_priority(values.get(PRIORITY)),
        max_age=_max_age(values),
    )


def _delay(values: Mapping[str, str], longest: float) -> float:
    if DELAY not in values:
        return 0.0
    seconds = _duration(DELAY, values[DELAY])
    if seconds > longest:
        raise _too_late(DELAY, longest)
    return seconds


def _duration(header: str, text: str) -> float:
    try:
        return parse_duration(text[:100])
    except ValueError as exc:
        raise InvalidRequest(f"{header}: {exc}.", "Send a duration such as 90s, 10m or 1h30m.") from exc


def _max_age(values: Mapping[str, str]) -> float:
    if MAX_AGE not in values:
        return 0.0
    seconds = _duration(MAX_AGE, values[MAX_AGE])
    if seconds < _SHORTEST_AGE:
        raise InvalidRequest(f"{MAX_AGE} must be at least 1ms.", "Send a duration such as 1h.")
    return seconds


def _run_at(values: Mapping[str, str], latest: float) -> float:
    if RUN_AT not in values:
        return 0.0
    text = values[RUN_AT]
    try:
        moment = parse_moment(text)
    except (ValueError, OverflowError) as exc:
        raise InvalidRequest(
            f"{RUN_AT}: {text[:100]!r} is not a moment in time.",
            "Send one in RFC 3339 form, with its zone, such as 2030-01-31T12:00:00Z or 2030-01-31T12:00:00+01:00.",
        ) from exc
    if moment > latest:
        raise _too_late(RUN_AT, latest - time.time())
    return max(moment, 1.0)


def _priority(text: str | None) -> str:
    if text is None:
        return NORMAL
    if text.lower() not in PRIORITIES:
        raise InvalidRequest(f"{PRIORITY}: {text[:100]!r} is not a priority.", f"Send one of {', '.join(PRIORITIES)}.")
    return text.lower()


def _too_late(header: str, longest: float) -> InvalidRequest:
    return InvalidRequest(
        f"{header}: calls are kept for up to {format_duration(round(longest))} before they run (async_max_delay).",
        "Ask for an earlier time, or raise the limit.",
    )


def _key(text: str | None) -> str:
    """The key in `text`: a string of RFC 8941 as the draft has it, or without its quotes, as most clients send it."""
    if text is None:
        return ""
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not key or len(key) > _LONGEST_KEY or not (quoted or (_PLAIN.fullmatch(text) and not text.startswith('"'))):
        raise InvalidRequest(
            f"{IDEMPOTENCY_KEY}: {text[:100]!r} is not a key.",
            f"Send 1 to {_LONGEST_KEY} printable ASCII characters, such as a UUID; in double quotes if it has spaces.",
        )
    return key
