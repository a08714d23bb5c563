"""A request as the variables that a forked function finds in its environment."""

from __future__ import annotations

from fwatchdog.cgi import variables_of
from fwatchdog.http.messages import Request


def cgi_variables(request: Request) -> dict[bytes, bytes]:
    """`Http_*` variables."""
    return variables_of(request.method, request.path, request.query, request.headers, request.length or 0)
