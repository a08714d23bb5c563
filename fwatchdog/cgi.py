"""A request as the variables that a function finds in its environment, in a process of its own or as `handle(req)`."""

from __future__ import annotations

import functools

from swarmfn.wire.headers import Headers

# Go's net/http, which the contract describes, takes these out of the headers and shows them elsewhere.
NOT_HEADERS = frozenset({"host", "transfer-encoding"})
_CHUNKED = b"Http_Transfer_Encoding"


def variables_of(method: str, path: bytes, query: str, headers: Headers, length: int) -> dict[bytes, bytes]:
    """`Http_*` variables: the first value of each header, then method, path (decoded), query, host and the body's
    framing. `length` does not count for a body in chunks."""
    variables: dict[bytes, bytes] = {}
    size = b"%d" % length
    for name, value in headers:
        variable = _variable(name)
        if variable is _CHUNKED:
            value, size = "chunked", b"-1"
        if variable and variable not in variables:
            variables[variable] = value.encode("latin-1")
    variables[b"Http_Method"] = method.encode("latin-1")
    variables[b"Http_Path"] = path
    if query:
        variables[b"Http_Query"] = query.encode("latin-1")
    variables[b"Http_Content_Length"] = variables[b"Http_ContentLength"] = size
    return variables


def canonical(name: str) -> str:
    """A header's name as Go writes it: `x-call-ID` → `X-Call-Id`."""
    return "-".join(part.capitalize() for part in name.split("-"))


@functools.lru_cache(256)
def _variable(name: str) -> bytes:
    """The name of a header's variable; empty for one that gets none. The same few headers come with every call."""
    lower = name.lower()
    if lower == "transfer-encoding":
        return _CHUNKED
    # Would be Http_Proxy, which Python's urllib and requests take for http_proxy: a caller could then send what the
    # function fetches through a proxy of their own (https://httpoxy.org).
    return b"" if lower == "proxy" else b"Http_" + canonical(name).replace("-", "_").encode("latin-1")
