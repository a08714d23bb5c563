"""Which headers travel: from the client to the function, and from the function back."""

from __future__ import annotations

import time

from gateway.invoke import origin_wide_headers
from gateway.invoke.credentials import Credentials
from gateway.invoke.incoming import Incoming, RawHeaders
from swarmfn.wire.errors import LoopDetected
from swarmfn.wire.headers import HOP_BY_HOP, MAX_HOPS, hops_in

_HOP_BY_HOP = frozenset(name.encode() for name in HOP_BY_HOP)
_NOT_PASSED_ON = _HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"authorization",
    b"x-call-id",
    b"x-start-time",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-call-hops",
}
_REPLACED = _HOP_BY_HOP | {b"x-call-id", b"x-start-time", b"x-duration-seconds"}
_LOOKED_AT = _REPLACED | origin_wide_headers.DROPPED | origin_wide_headers.NARROWED

_SANDBOX = (b"Content-Security-Policy", b"sandbox allow-forms allow-scripts")
"""Beside the function's own policy: its scripts run, but in an origin of their own. In the gateway's they could use the
management API with the credentials that the browser knows."""


def to_function(
    incoming: Incoming, call_id: str, own: Credentials | None = None, max_hops: int = MAX_HOPS
) -> RawHeaders:
    """The client's end-to-end headers and ours; `Host` and the body's framing are added by the sender.

    An Authorization that tells the gateway's `own` credentials stays here: browsers and programs that have them send
    them along with calls too, and whatever functions are given, they may use.

    X-Forwarded-For is appended to (it tells the whole way), X-Forwarded-Host is kept if a proxy before us set it.
    Raises LoopDetected for a call that more than `max_hops` callbacks led to.
    """
    kept: RawHeaders = []
    forwarded_for, forwarded_host, host, named = b"", b"", b"", b""
    for pair in incoming.headers:
        if pair[0] not in _NOT_PASSED_ON:
            kept.append(pair)
            continue
        name, value = pair
        if name == b"host":
            host = value
        elif name == b"authorization":
            if own is None or not own.are_told_by(value):
                kept.append((name, value))
        elif name == b"connection":
            named += value + b","
        elif name == b"x-call-hops":
            _check_hops(value, max_hops)
            kept.append((name, value))
        elif name == b"x-forwarded-for":
            forwarded_for += value + b", "
        elif name == b"x-forwarded-host":
            forwarded_host = value
    if named:
        kept = _without_named(kept, named)
    kept += (
        (b"X-Call-Id", call_id.encode()),
        (b"X-Start-Time", b"%d" % incoming.start_time),
        (b"X-Forwarded-For", forwarded_for + incoming.client.encode()),
    )
    if forwarded_host or host:
        kept.append((b"X-Forwarded-Host", forwarded_host or host))
    return kept


def _check_hops(value: bytes, most: int) -> None:
    hops = hops_in(value.decode("latin-1"))
    if hops > most:
        raise LoopDetected(
            f"{hops} calls in a row led to this one by their callbacks, which may be a loop.",
            "The limit is the gateway's max_hops.",
        )


def to_client(headers: RawHeaders, incoming: Incoming, call_id: str, is_site: bool = False) -> RawHeaders:
    """The function's end-to-end headers and ours.

    What browsers would take for the whole origin is kept from them, unless the function is a trusted site (`is_site`)
    on a port that serves no management.
    """
    if is_site and incoming.is_public:
        return [*end_to_end(_less_ours(headers)), *call_headers(incoming, call_id), duration(incoming)]
    kept: RawHeaders = []
    named = b""
    for pair in headers:
        name = pair[0].lower()
        if name not in _LOOKED_AT:
            kept.append(pair)
        elif name == b"connection":
            named += pair[1] + b","
        elif name in origin_wide_headers.NARROWED:
            path = b"/function/" + incoming.name.encode("latin-1")
            kept.append((pair[0], origin_wide_headers.narrowed(name, pair[1], path, is_root=not incoming.path)))
    if named:
        kept = _without_named(kept, named)
    kept.append(_SANDBOX)
    kept += call_headers(incoming, call_id)
    kept.append(duration(incoming))
    return kept


def call_headers(incoming: Incoming, call_id: str) -> RawHeaders:
    """What every reply on an invocation route carries."""
    return [(b"X-Call-Id", call_id.encode()), (b"X-Start-Time", b"%d" % incoming.start_time)]


def duration(incoming: Incoming) -> tuple[bytes, bytes]:
    """The header that says how long it has taken from the request's arrival up to now."""
    return b"X-Duration-Seconds", b"%f" % (time.perf_counter() - incoming.started)


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """`headers` less the hop-by-hop ones and those that `Connection` names (RFC 9110, section 7.6.1)."""
    named = b",".join(value for name, value in headers if name.lower() == b"connection")
    return _without_named([pair for pair in headers if pair[0].lower() not in _HOP_BY_HOP], named)


def _less_ours(headers: RawHeaders) -> RawHeaders:
    return [pair for pair in headers if pair[0].lower() not in _REPLACED or pair[0].lower() == b"connection"]


def _without_named(headers: RawHeaders, connection: bytes) -> RawHeaders:
    """`headers` less those that a Connection header of this value names."""
    if not connection:
        return headers
    named = {token.strip().lower() for token in connection.split(b",")}
    return [pair for pair in headers if pair[0].lower() not in named]
