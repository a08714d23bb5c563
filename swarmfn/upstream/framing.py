"""Where an answer ends, in the cases the parser does not decide."""

from __future__ import annotations

from collections.abc import Iterable

Pairs = Iterable[tuple[bytes, bytes]]


def ends_with_connection(headers: Pairs) -> bool:
    """Nothing in `headers` says where the body ends, so the end of the connection does (RFC 9112, section 6.3)."""
    codings: list[bytes] = []
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"content-length":
            return False
        if lowered == b"transfer-encoding":
            codings += _tokens(value)
    return not codings or codings[-1] != b"chunked"


def answer_keeps_alive(version: str, headers: Pairs) -> bool:
    """Whether the connection stays open after an answer that has no body, whatever its length says."""
    options = [option for name, value in headers if name.lower() == b"connection" for option in _tokens(value)]
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip().lower() for token in value.split(b",")]
