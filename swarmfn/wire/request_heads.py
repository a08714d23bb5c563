"""The head of a request, as RFC 9112 has it, by the same rules on every server of the platform.

Parsed strictly, because a lenient parser behind a proxy is how requests get smuggled.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from swarmfn.wire.headers import Headers

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together. Each header becomes a variable of a forked child: keep it modest."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105, the grammar's name for it
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rf"({_TOKEN}):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(r"0*[0-9]{1,18}")
# `uri-host [":" port]` (RFC 9110, section 7.2); a name may be empty.
_NAMES = rb"[A-Za-z0-9\-._~!$&'()*+,;=]*"
_HOST = re.compile(
    rb"(?:%b(?:%%[0-9A-Fa-f]{2}%b)*|\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\])(?::[0-9]*)?"
    % (_NAMES, _NAMES)
)
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_SINGLE = _FRAMING | {"host"}


class BadRequest(Exception):
    """The bytes are not a request that this server takes; the connection cannot be used any further."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class RequestHead(NamedTuple):
    """length is None for a chunked body. `target` is the origin form: `/path?query`, or `*`."""

    method: str
    target: str
    headers: Headers
    length: int | None
    is_http_1_1: bool
    keep_alive: bool
    expects_continue: bool


def check_host(count: int, host: bytes, is_http_1_1: bool) -> None:
    """Of a request with `count` Host headers, `host` the last of them. Raises BadRequest."""
    if not count:
        if is_http_1_1:
            raise BadRequest(400, "the Host header is missing")
    elif count > 1:
        raise BadRequest(400, "Host is given more than once")
    elif _HOST.fullmatch(host) is None:
        raise BadRequest(400, "the Host header is not a name and port")


def check_path(path: bytes) -> None:
    """Of a path that is still percent-encoded: a NUL in it fits into no environment and no file's name. Raises
    BadRequest."""
    if b"%00" in path:
        raise BadRequest(400, "the path contains a NUL")


def check_version(major: str) -> None:
    """A higher minor version is taken for 1.1 (RFC 9110, section 2.5), another major one not. Raises BadRequest."""
    if major != "1":
        raise BadRequest(505, "this server speaks HTTP/1.1 and 1.0 only")


def parse_head(block: bytes) -> RequestHead:
    """The head in `block`, which ends before the empty line. Raises BadRequest."""
    first, *lines = block.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise BadRequest(400, "the request line is malformed")
    method, target, major, minor = match.groups()
    check_version(major)
    is_http_1_1 = minor != "0"
    headers, framing = parse_fields(lines)
    check_host("host" in framing, framing.get("host", "").encode("latin-1"), is_http_1_1)
    target = _origin_form(method, target)
    check_path(target.partition("?")[0].encode("latin-1"))
    tokens = connection_tokens(framing.get("connection", ""))
    return RequestHead(
        method=method,
        target=target,
        headers=headers,
        length=_body_length(framing, is_http_1_1),
        is_http_1_1=is_http_1_1,
        keep_alive="close" not in tokens and (is_http_1_1 or "keep-alive" in tokens),
        expects_continue=is_http_1_1 and framing.get("expect", "").lower() == "100-continue",
    )


def parse_fields(lines: list[str]) -> tuple[Headers, dict[str, str]]:
    """All headers, and by lower-case name those that a server or client itself acts on. Raises BadRequest."""
    headers: Headers = []
    framing: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadRequest(400, "a header is malformed")
        name, value = match[1], match[2].strip(" \t")
        headers.append((name, value))
        lower = name.lower()
        if lower in _SINGLE:
            if lower in framing:
                raise BadRequest(400, f"{name} is given more than once")
            framing[lower] = value
        elif lower == "connection":
            framing[lower] = f"{framing[lower]},{value}" if lower in framing else value
        elif lower == "expect":
            framing[lower] = value
    return headers, framing


def check_trailer(line: bytes) -> None:
    """Of the lines that may follow a chunked body. Raises BadRequest."""
    match = _FIELD.fullmatch(line.decode("latin-1"))
    if match is None or match[1].lower() in _FRAMING:
        raise BadRequest(400, "a trailer is malformed")


def connection_tokens(value: str) -> set[str]:
    return {token.strip(" \t").lower() for token in value.split(",")} if value else set()


def _body_length(framing: dict[str, str], is_http_1_1: bool) -> int | None:
    coding, length = framing.get("transfer-encoding"), framing.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequest(400, "Content-Length and Transfer-Encoding contradict each other")
        if not is_http_1_1:
            raise BadRequest(400, "Transfer-Encoding is not part of HTTP/1.0")
        if not coding:
            raise BadRequest(400, "Transfer-Encoding is empty")
        if coding.lower() != "chunked":
            raise BadRequest(501, "the only transfer coding understood is chunked")
        return None
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise BadRequest(400, "Content-Length is not a number")
    return int(length)


def _origin_form(method: str, target: str) -> str:
    if target[0] == "/" or (target == "*" and method == "OPTIONS"):
        return target
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise BadRequest(400, "the request target is malformed")
    slash = re.search(r"[/?]", rest)
    path = rest[slash.start() :] if slash else "/"
    return path if path[0] == "/" else "/" + path
