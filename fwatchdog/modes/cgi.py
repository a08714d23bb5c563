"""A request as the variables a forked function finds in its environment."""

from __future__ import annotations

from fwatchdog.http.messages import Request

# Go's net/http, which the contract describes, takes these out of the headers and shows them elsewhere.
NOT_HEADERS = frozenset({"host", "transfer-encoding"})
# Would be Http_Proxy, which Python's urllib and requests take for http_proxy: a caller could then send what the
# function fetches through a proxy of their own (https://httpoxy.org).
_NOT_VARIABLES = NOT_HEADERS | {"proxy"}


def cgi_variables(request: Request) -> dict[bytes, bytes]:
    """`Http_*` variables: the first value of each header, then method, path, query, host and the body's framing."""
    variables: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name.lower() not in _NOT_VARIABLES:
            variables.setdefault(_variable(name), value.encode("latin-1"))
    variables[b"Http_Method"] = request.method.encode("latin-1")
    variables[b"Http_Path"] = request.path
    _add(variables, b"Http_Query", request.query)
    _add(variables, b"Http_Host", request.header("host"))
    if request.length is None:
        variables[b"Http_Transfer_Encoding"] = b"chunked"
    length = b"-1" if request.length is None else str(request.length).encode()
    variables[b"Http_Content_Length"] = variables[b"Http_ContentLength"] = length
    return variables


def canonical(name: str) -> str:
    """A header's name as Go writes it: `x-call-ID` → `X-Call-Id`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _variable(name: str) -> bytes:
    return b"Http_" + canonical(name).replace("-", "_").encode("latin-1")


def _add(variables: dict[bytes, bytes], name: bytes, value: str | None) -> None:
    if value:
        variables[name] = value.encode("latin-1")
