"""The head of the function's response, and how its body is framed."""

from __future__ import annotations

import re
from typing import NamedTuple

from fwatchdog.http.messages import has_body
from swarmfn.wire.headers import Headers
from swarmfn.wire.request_heads import BadRequest, connection_tokens, parse_fields

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_LENGTH = re.compile(r"[0-9]{1,18}")


class BadResponse(Exception):
    """The bytes are not a response of HTTP/1.1 or 1.0."""


class ResponseHead(NamedTuple):
    """`length` is that of the body, None if it is chunked or ends with the connection."""

    status: int
    headers: Headers
    length: int | None
    is_chunked: bool
    keep_alive: bool

    @property
    def is_interim(self) -> bool:
        return self.status < 200


def parse_response_head(block: bytes, method: str) -> ResponseHead:
    """The head in `block`, which ends before the empty line, of the answer to `method`. Raises BadResponse."""
    first, *lines = block.decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadResponse(f"the status line is malformed: {first[:100]!r}")
    status = int(match[2])
    try:
        headers, framing = parse_fields(lines)
    except BadRequest as exc:
        raise BadResponse(exc.reason) from exc
    length, is_chunked = _framing(framing, method, status)
    tokens = connection_tokens(framing.get("connection", ""))
    is_open = "close" not in tokens and (match[1] == "1" or "keep-alive" in tokens)
    return ResponseHead(status, headers, length, is_chunked, is_open and (length is not None or is_chunked))


def _framing(framing: dict[str, str], method: str, status: int) -> tuple[int | None, bool]:
    """RFC 9112 section 6.3."""
    if status < 200 or not has_body(method, status):
        return 0, False
    coding, length = framing.get("transfer-encoding"), framing.get("content-length")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise BadResponse("its Transfer-Encoding is not understood")
        return None, True
    if length is None:
        return None, False
    if _LENGTH.fullmatch(length) is None:
        raise BadResponse("its Content-Length is not a number")
    return int(length), False
