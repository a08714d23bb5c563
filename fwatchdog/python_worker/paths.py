"""The path of a request's target."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def unescaped(path: str) -> bytes:
    """A path with its percent escapes decoded."""
    raw = path.encode("latin-1")
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), raw) if b"%" in raw else raw
