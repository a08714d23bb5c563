"""marshal_request: the function gets the request's headers and body as one JSON document on its standard input."""

from __future__ import annotations

import binascii
import json

from fwatchdog.cgi import NOT_HEADERS, canonical
from fwatchdog.http.messages import Request
from fwatchdog.http.request_bodies import RequestBody


async def marshalled(request: Request) -> RequestBody:
    """`{"header": {"X-Name": ["value"]}, "body": {"raw": "<base64>"}}`, complete, once the request's body is."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.lower() not in NOT_HEADERS:
            headers.setdefault(canonical(name), []).append(value)
    raw = binascii.b2a_base64(b"".join(await request.body.read_all()), newline=False)
    document = RequestBody(lambda: None, lambda: None)
    document.push([json.dumps({"header": headers, "body": {"raw": raw.decode()}}).encode()])
    document.finish()
    return document
