"""A file's media type, from its name."""

from __future__ import annotations

import mimetypes

_UNKNOWN = "application/octet-stream"
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_ALSO_TEXT = frozenset({"application/javascript", "application/json", "application/xml", "image/svg+xml"})
_MORE = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".md": "text/markdown",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
# Our own words first: the tables of machines differ, and many containers have none.
_types = mimetypes.MimeTypes()
for _suffix, _type in _MORE.items():
    _types.add_type(_type, _suffix)


def media_type(name: str) -> str:
    """Text has `charset=utf-8`; an archive that is compressed is of the compression's type."""
    guessed, encoding = _types.guess_type("/" + name.lower())
    if encoding is not None:
        return _COMPRESSED.get(encoding, _UNKNOWN)
    if guessed is None:
        return _UNKNOWN
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed in _ALSO_TEXT else guessed
