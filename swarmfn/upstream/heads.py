"""Request heads, safe against header injection."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_USUAL = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_BREAK = re.compile(rb"[\r\n\0]")


class _Prefixes(dict[bytes, bytes]):
    """How a header's line begins, by name. Names repeat, so most are checked once in the life of a process."""

    def __missing__(self, name: bytes) -> bytes:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a header name")
        if name.lower() == b"host":
            raise ValueError("the Host header is given as host, not among the headers")
        prefix = b"\r\n" + name + b": "
        if len(self) < 1024:  # clients choose names, so there is no end of them
            self[name] = prefix
        return prefix


_prefixes = _Prefixes()


def request_head(method: str | bytes, target: bytes, host: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a request's head, with `host` as its Host header, ready for `Upstream.exchange`.

    Raises ValueError, naming the part, for anything that would make a server read another request than this one: CR,
    LF or NUL anywhere, a space in the target, a method or a name that is not a token, a second Host. Framing headers
    (Content-Length, Transfer-Encoding) are the caller's.
    """
    verb = method.encode() if isinstance(method, str) else method
    parts = [verb, b" ", target, b" HTTP/1.1\r\nHost: ", host.encode("ascii")]
    for name, value in headers:
        parts += (_prefixes[name], value)
    parts.append(b"\r\n\r\n")
    head = b"".join(parts)
    # One line break before Host, one in each prefix, two at the end: any more came in from outside. One pass over
    # the whole head finds that out in a quarter of the time it takes to look at each part.
    ours = 2 * (len(parts) // 2)
    is_clean = len(head) - len(head.translate(None, b"\r\n\0")) == ours
    if not is_clean or not target or b" " in target or (verb not in _USUAL and not _TOKEN.fullmatch(verb)):
        raise ValueError(_blame(verb, target, host, parts[5:-1]))
    return head


def _blame(verb: bytes, target: bytes, host: str, lines: list[bytes]) -> str:
    if not _TOKEN.fullmatch(verb):
        return f"{verb!r} cannot be a method"
    if not target or b" " in target or _BREAK.search(target):
        return f"{target!r} cannot be the target of a request"
    if _BREAK.search(host.encode()):
        return f"{host!r} cannot be a Host header"
    name = next(prefix[2:-2] for prefix, value in zip(lines[::2], lines[1::2], strict=True) if _BREAK.search(value))
    return f"the value of header {name.decode('ascii')} holds a line break or NUL"
