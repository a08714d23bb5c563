"""Request heads, safe against header injection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def request_head(method: str | bytes, target: bytes, host: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a request's head, with `host` as its Host header, ready for `Upstream.exchange`.

    Raises ValueError, naming the part, for anything that would make a server read another request than this one: CR,
    LF or NUL anywhere, a space in the target, a method or a name that is no token, a second Host. Framing headers
    (Content-Length, Transfer-Encoding) are the caller's.
    """
    verb = method.encode("ascii") if isinstance(method, str) else method
    _check_token(verb)
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (verb, target, host.encode("ascii"))]
    for name, value in headers:
        _check_name(name)
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"\r\n")
    head = b"".join(lines)
    # Every line above adds one CR and one LF (the first adds two), so any more came in with a value.
    expected = len(lines) + 1
    is_clean = head.count(b"\r") == expected == head.count(b"\n") and b"\0" not in head
    if not is_clean or b" " in target or not target:
        raise ValueError(_blame(target, host.encode("ascii"), lines[1:-1]))
    return head


@lru_cache(maxsize=1024)
def _check_token(token: bytes) -> None:
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{token!r} cannot be a method or a header name")


@lru_cache(maxsize=1024)
def _check_name(name: bytes) -> None:
    _check_token(name)
    if name.lower() == b"host":
        raise ValueError("the Host header is given as host, not among the headers")


def _blame(target: bytes, host: bytes, header_lines: list[bytes]) -> str:
    if not re.fullmatch(rb"[^\r\n\0 ]+", target):
        return f"{target!r} cannot be the target of a request"
    if re.search(rb"[\r\n\0]", host):
        return f"{host!r} cannot be a Host header"
    for line in header_lines:
        name, _, value = line[:-2].partition(b": ")
        if re.search(rb"[\r\n\0]", value):
            return f"the value of header {name.decode('ascii')} holds a line break or NUL"
    raise AssertionError("a clean head was refused")
