"""Which headers travel: from the client to the function, and from the function back."""

from __future__ import annotations

from gateway.invoke.incoming import Incoming, RawHeaders
from swarmfn.wire.headers import HOP_BY_HOP

_HOP_BY_HOP = frozenset(name.encode() for name in HOP_BY_HOP)
_SET_TOWARDS_FUNCTION = frozenset(
    {b"host", b"content-length", b"expect", b"x-call-id", b"x-start-time", b"x-forwarded-for", b"x-forwarded-host"}
)
_SET_TOWARDS_CLIENT = frozenset({b"x-call-id", b"x-start-time", b"x-duration-seconds"})


def to_function(incoming: Incoming, call_id: str) -> RawHeaders:
    """The client's end-to-end headers and ours; `Host` and the body's framing are added by the sender.

    X-Forwarded-For is appended to (it tells the whole way), X-Forwarded-Host is kept if a proxy before us set it.
    """
    forwarded_for, forwarded_host, kept = b"", b"", []
    for name, value in end_to_end(incoming.headers):
        lower = name.lower()
        if lower not in _SET_TOWARDS_FUNCTION:
            kept.append((name, value))
        elif lower == b"x-forwarded-for":
            forwarded_for += value + b", "
        elif lower == b"x-forwarded-host" or (lower == b"host" and not forwarded_host):
            forwarded_host = value
    kept.append((b"X-Call-Id", call_id.encode()))
    kept.append((b"X-Start-Time", b"%d" % incoming.start_time))
    kept.append((b"X-Forwarded-For", forwarded_for + incoming.client.encode()))
    if forwarded_host:
        kept.append((b"X-Forwarded-Host", forwarded_host))
    return kept


def to_client(headers: RawHeaders, incoming: Incoming, call_id: str, seconds: float) -> RawHeaders:
    """The function's end-to-end headers and ours. `seconds` from the request's arrival to the answer's head."""
    kept = [(name, value) for name, value in end_to_end(headers) if name.lower() not in _SET_TOWARDS_CLIENT]
    kept += call_headers(incoming, call_id)
    kept.append((b"X-Duration-Seconds", b"%f" % seconds))
    return kept


def call_headers(incoming: Incoming, call_id: str) -> RawHeaders:
    """What every reply on an invocation route carries."""
    return [(b"X-Call-Id", call_id.encode()), (b"X-Start-Time", b"%d" % incoming.start_time)]


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """`headers` less the hop-by-hop ones and those that `Connection` names (RFC 9110 section 7.6.1)."""
    named: set[bytes] = set()
    for name, value in headers:
        if name.lower() == b"connection":
            named |= {token.strip().lower() for token in value.split(b",")}
    dropped = _HOP_BY_HOP | named if named else _HOP_BY_HOP
    return [pair for pair in headers if pair[0].lower() not in dropped]
