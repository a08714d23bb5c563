"""HTTP header names with a meaning on this platform, and which headers may travel on."""

from __future__ import annotations

from collections.abc import Iterable

CALL_ID = "X-Call-Id"
PARENT_CALL_ID = "X-Parent-Call-Id"
CALL_HOPS = "X-Call-Hops"
"""How many calls led to this one by their callbacks. Set by each worker, so that no function can hide a loop."""
START_TIME = "X-Start-Time"
DURATION = "X-Duration-Seconds"
CALLBACK_URL = "X-Callback-Url"
CALLBACK_SIGNATURE = "X-Callback-Signature"
CALLBACK_TIMESTAMP = "X-Callback-Timestamp"
FUNCTION_NAME = "X-Function-Name"
FUNCTION_STATUS = "X-Function-Status"
ATTEMPT = "X-Attempt"
DEADLINE = "X-Deadline"
RETRY = "X-Retry"
RETRY_MAX = "X-Retry-Max"
DELAY = "X-Delay"
RUN_AT = "X-Run-At"
PRIORITY = "X-Priority"
MAX_AGE = "X-Max-Age"
IDEMPOTENCY_KEY = "Idempotency-Key"
IDEMPOTENT_REPLAY = "X-Idempotent-Replay"
INTERNAL = "X-OpenFaaS-Internal"
"""Set on answers that the platform, not the function, gave; clients of OpenFaaS look for it."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Never forwarded (RFC 9110 section 7.6.1), and `Connection` may name more."""

CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
"""Passed on to the function but never shown by a status, a log or the dashboard."""

MAX_HOPS = 16
"""Callbacks in a row, unless the setting `max_hops` says otherwise."""

_LONGEST_COUNT = 9

Headers = list[tuple[str, str]]
"""Pairs in their order; a name may repeat. Values are Latin-1 text, as on the wire."""


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """`headers` less the hop-by-hop ones and those that `Connection` names."""
    kept = list(headers)
    dropped: frozenset[str] | set[str] = HOP_BY_HOP
    for name, value in kept:
        if name.lower() == "connection":
            dropped = dropped | {token.strip().lower() for token in value.split(",")}
    return [(name, value) for name, value in kept if name.lower() not in dropped]


def hops_in(text: str) -> int:
    """What a CALL_HOPS header says; a client's nonsense counts as none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT else 0


def first(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of header `name`, matched without regard to case."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)
