"""The first line of a request, where the parser is too lenient or says too little."""

from __future__ import annotations

import re

from gateway.fastlane.refusals import MALFORMED, Refused
from swarmfn.wire.request_heads import BadRequest

_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
_SPACES = re.compile(rb"  +")


def check_line(method: bytes, target: bytes, seen: bytes, is_at_start: bool) -> None:
    """The parser takes `RTSP/1.0` and `ICE/1.0` for HTTP/1.0, and several spaces for one, and says neither.

    seen: bytes with the line in them; is_at_start: they begin with it. Raises BadRequest.
    """
    line = b"%b %b " % (method, target)
    if is_at_start:
        is_good = seen.lstrip(b"\r\n").startswith(line + b"HTTP/")
    else:
        # Where in the piece it begins the parser does not say either.
        spaced = _SPACES.sub(b" ", seen)
        is_other = line + b"RTSP/" in spaced or line + b"ICE/" in spaced
        is_good = line + b"HTTP/" in seen and not is_other
    if not is_good:
        raise BadRequest(400, "the request line is malformed")


def split_target(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target. Raises Refused for those of other protocols' kind."""
    if not target.startswith(b"/") and (target != b"*" or method != b"OPTIONS"):
        match = _ABSOLUTE.match(target)
        if match is None:
            raise Refused(MALFORMED)
        target = target[match.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query
