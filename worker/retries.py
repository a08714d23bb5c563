"""Whether, and when, a function's own answer is followed by another attempt: pure functions."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from swarmfn.backoff import backoff
from swarmfn.wire.headers import INTERNAL, Headers, first
from swarmfn.wire.policies import DEFAULT_CODES, RetryPolicy

_FULL_AGAIN = 1.0
"""Seconds before a function that had no room is asked again, unless it says how long."""

_LONGEST_RETRY_AFTER = 86400.0
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_COME_BACK = frozenset({429, 503})
"""Answers whose Retry-After is honoured."""


def wait_for_room(status: int, headers: Headers, is_limited: bool, now: float) -> float | None:
    """Seconds to wait when the function had no room for the call, which is neither an answer nor a failure; else None.

    The watchdog says so (`max_inflight`); of a function whose calls are limited (`is_limited`) every 429 does.
    """
    if status != 429 or not (is_limited or first(headers, INTERNAL) is not None):
        return None
    asked = retry_after(headers, now)
    return _FULL_AGAIN if asked is None else max(_FULL_AGAIN, asked)


def retry_in(
    policy: RetryPolicy | None, status: int, headers: Headers, attempt: int, now: float, chance: float
) -> float | None:
    """Seconds before the next attempt, None when this answer is final. `attempt` counts from 1, `chance` is in
    [0, 1)."""
    if policy is None or attempt >= policy.attempts:
        return None
    asked = retry_after(headers, now) if status in _COME_BACK else None
    # A 503 with Retry-After asks for another attempt, unless the function has said itself which codes to try again.
    is_asked = asked is not None and policy.codes == DEFAULT_CODES
    is_platforms = status >= 400 and first(headers, INTERNAL) is not None
    if not (status in policy.codes or is_asked or is_platforms):
        return None
    wait = backoff_with_jitter(policy, attempt, chance) if asked is None else max(policy.min_wait, asked)
    return round(wait, 3)


def backoff_with_jitter(policy: RetryPolicy, attempt: int, chance: float) -> float:
    """The wait after `attempt` attempts (at least 1), doubling from min_wait up to max_wait."""
    wait = backoff(attempt, policy.min_wait, policy.max_wait)
    if policy.jitter == "full":
        return wait * chance
    if policy.jitter == "equal":
        return wait / 2 + wait / 2 * chance
    return wait


def retry_after(headers: Headers, now: float) -> float | None:
    """Seconds in a Retry-After header, which may hold a number or an HTTP date; None without one that parses."""
    text = (first(headers, "Retry-After") or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" and no zone at all mean UTC.
    stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(0.0, stamp - now), _LONGEST_RETRY_AFTER)
