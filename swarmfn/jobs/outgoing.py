"""What goes out on behalf of a call: the request a function sees, and the report its callback URL gets."""

from __future__ import annotations

import re
from urllib.parse import quote

from swarmfn import __version__
from swarmfn.jobs.layout import CALLBACK_QUEUE, callback_queue
from swarmfn.wire import headers as names
from swarmfn.wire.callback_urls import parse_callback_url
from swarmfn.wire.headers import Headers, end_to_end, first, hops_in
from swarmfn.wire.invocations import Delivery, Invocation, StoredResponse
from swarmfn.wire.names import NAMESPACE

USER_AGENT = f"swarmfn/{__version__}"
UNREACHABLE = 503
"""X-Function-Status of a call whose function could never be reached (OpenFaaS's convention)."""

EXPIRED = 408
"""X-Function-Status of a call that waited too long: unlike 503 it says that nobody tried."""

UNUSABLE = 502
"""X-Function-Status of a call whose answer could not be read to its end: unlike 503 it says that the function ran."""

_SET_BY_CLIENT = frozenset({"host", "content-length", "expect"})
_OURS_TO_FUNCTION = frozenset(name.lower() for name in (names.CALL_ID, names.START_TIME, names.ATTEMPT, names.DEADLINE))
_OURS_TO_CALLBACK = frozenset(
    name.lower()
    for name in (
        names.CALL_ID,
        names.START_TIME,
        names.FUNCTION_NAME,
        names.FUNCTION_STATUS,
        names.DURATION,
        names.PARENT_CALL_ID,
        names.CALL_HOPS,
        names.RETRY,
        names.RETRY_MAX,
        names.CALLBACK_SIGNATURE,
        names.CALLBACK_TIMESTAMP,
        names.IDEMPOTENCY_KEY,
        "user-agent",
        "date",
        "server",
    )
)
_FUNCTION_PATH = re.compile(r"/(function|async-function)/([A-Za-z0-9_.-]{1,80})(?:/|$)")
_NOT_IN_QUEUE = re.compile(r"[^A-Za-z0-9_.:-]")
_LONGEST_PLACE = 200
_TARGET_SAFE = "/!$&'()*+,;=:@~-._%?"


def request_target(invocation: Invocation) -> str:
    """Path and query for the function's replica, as the client sent them."""
    path = invocation.path or "/"
    return f"{path}?{invocation.query}" if invocation.query else path


def function_headers(invocation: Invocation, attempt: int, deadline: float) -> Headers:
    """The original end-to-end headers plus ours. `deadline` is Unix seconds; attempts count from 1.

    `Host` and `Content-Length` are the HTTP client's to set.
    """
    kept = [
        (name, value)
        for name, value in invocation.headers
        if (lower := name.lower()) not in _SET_BY_CLIENT and lower not in _OURS_TO_FUNCTION
    ]
    kept += [
        (names.CALL_ID, invocation.call_id),
        (names.START_TIME, str(invocation.start_time)),
        (names.ATTEMPT, str(attempt)),
        (names.DEADLINE, f"{deadline:.3f}"),
    ]
    return kept


def delivery_headers(
    invocation: Invocation, response: StoredResponse | None, seconds: float, attempts: int = 1
) -> Headers:
    """The headers of a callback: the function's own, then what the platform knows of the call.

    `response` is None when the function could never be reached. `seconds` is the last attempt's duration,
    `attempts` how often the function answered.
    """
    own = end_to_end(response.headers) if response else []
    kept = [(n, v) for n, v in own if (low := n.lower()) not in _OURS_TO_CALLBACK and low not in _SET_BY_CLIENT]
    kept += [
        (names.CALL_ID, invocation.call_id),
        (names.START_TIME, str(invocation.start_time)),
        (names.FUNCTION_NAME, invocation.invoked_as),
        (names.FUNCTION_STATUS, str(response.status if response else UNREACHABLE)),
        (names.DURATION, f"{seconds:f}"),
        (names.CALL_HOPS, str(hops_in(first(invocation.headers, names.CALL_HOPS) or "") + 1)),
        ("User-Agent", USER_AGENT),
    ]
    if invocation.retry is not None:
        kept.append((names.RETRY, str(max(0, attempts - 1))))
        kept.append((names.RETRY_MAX, str(invocation.retry.attempts - 1)))
    parent = first(invocation.headers, names.PARENT_CALL_ID)
    if parent is not None:
        # In a chain of callbacks each call but the first has an id of its own; this leads back to the one before.
        kept.append((names.PARENT_CALL_ID, parent))
    return kept


def offer_headers(delivery: Delivery) -> Headers:
    """The headers of one offer of a callback. All offers of it have the same key: a receiver that has heard it, another
    asynchronous function above all, need not act on it twice."""
    return [*delivery.headers, (names.IDEMPOTENCY_KEY, delivery.delivery_id)]


def delivery_place(url: str) -> str:
    """The receiver that `url` names; "" for a URL that names none. Functions behind a gateway are receivers of their
    own. Does not raise."""
    try:
        parsed = parse_callback_url(url)
    except ValueError:
        return ""
    # Queues are chosen by this: an IPv6 address has no brackets in it, as ever.
    place = f"{parsed.host}:{parsed.port}"
    function = _FUNCTION_PATH.match(parsed.path)
    if function is not None:
        place += f":{function[1]}:{function[2].removesuffix('.' + NAMESPACE)}"
    return _NOT_IN_QUEUE.sub("_", place)[:_LONGEST_PLACE]


def delivery_queue(url: str) -> str:
    """Where deliveries to `url` wait: all those to one receiver on the same queue, of a fixed number."""
    place = delivery_place(url)
    return callback_queue(place) if place else CALLBACK_QUEUE


def callback_target(path: str, query: str) -> str:
    """The request target of a callback URL's path and query; anything that may not stand there is escaped."""
    target = quote(path or "/", safe=_TARGET_SAFE)
    return f"{target}?{quote(query, safe=_TARGET_SAFE)}" if query else target
