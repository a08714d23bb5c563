"""What a handler returned, as an HTTP response."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from swarmfn.wire.headers import Headers

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_BINARY = "application/octet-stream"
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_RESPONSE_KEYS = frozenset({"statusCode", "headers", "body"})


class BadResult(Exception):
    """The handler returned something that is no response; the message says what."""


class Result(NamedTuple):
    """`body` is bytes, or an iterator or async generator of pieces that `encode_piece` takes; then the media type is
    missing from the headers until the first piece says which it is."""

    status: int
    headers: Headers
    body: Any


def to_result(value: Any, takes_event: bool) -> Result:
    """The response in `value`: text, bytes, a dict with statusCode, a tuple (body, status, headers), a generator of
    pieces, or JSON data.

    In `handle(event, context)` a dict of nothing but `body` and `headers` is a response too. Raises BadResult.
    """
    if isinstance(value, tuple):
        if not 1 <= len(value) <= 3:
            raise BadResult("a tuple must be (body, status) or (body, status, headers)")
        body, status, headers = (*value, 200, None)[:3] if len(value) == 1 else (*value, None)[:3]
        return _result(body, status, headers)
    if isinstance(value, Mapping) and _is_response(value, takes_event):
        return _result(value.get("body"), value.get("statusCode", 200), value.get("headers"))
    return _result(value, 200, None)


def _is_response(value: Mapping[Any, Any], takes_event: bool) -> bool:
    return "statusCode" in value or (takes_event and bool(value) and _RESPONSE_KEYS.issuperset(value))


def is_stream(body: Any) -> bool:
    """Whether it is produced piece by piece, as generators do it, and open files."""
    return isinstance(body, Iterator) or inspect.isasyncgen(body)


def encode_piece(piece: Any) -> tuple[bytes, str]:
    """The bytes of one piece of a stream, and the media type they suggest. Raises BadResult."""
    if isinstance(piece, str | bytes | bytearray | memoryview):
        return _encode(piece)
    raise BadResult(f"a generator must yield str or bytes, not {type(piece).__name__}")


def _result(body: Any, status: Any, headers: Any) -> Result:
    pairs = [checked_header(name, value) for name, value in _pairs(headers)] if headers else []
    if is_stream(body):
        return Result(checked_status(status), pairs, body)
    encoded, media_type = _encode(body)
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.insert(0, ("Content-Type", media_type))
    return Result(checked_status(status), pairs, encoded)


def _encode(body: Any) -> tuple[bytes, str]:
    """The body's bytes and the media type that goes with its Python type."""
    if body is None:
        return b"", _TEXT
    if isinstance(body, str):
        # Lone surrogates have no UTF-8 form; a function that echoes odd file names must not fail for them.
        return body.encode("utf-8", "surrogateescape"), _TEXT
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), _BINARY
    try:
        return json.dumps(body).encode(), _JSON
    except (TypeError, ValueError) as exc:
        raise BadResult(f"a body of type {type(body).__name__} cannot be sent: {exc}") from exc


def checked_status(status: Any) -> int:
    """A final status of HTTP. Raises BadResult."""
    try:
        number = int(status)
    except (TypeError, ValueError):
        number = 0
    if not 200 <= number <= 599:
        raise BadResult(f"{status!r} is no status code")
    return number


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    """Headers from a mapping (a list as value repeats the header) or from pairs."""
    if not headers:
        return
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    try:
        for name, value in pairs:
            if isinstance(value, list | tuple):
                yield from ((name, one) for one in value)
            else:
                yield name, value
    except (TypeError, ValueError) as exc:
        raise BadResult("headers must be a dict, or pairs of name and value") from exc


def checked_header(name: Any, value: Any) -> tuple[str, str]:
    """A header that cannot break the response it is in. Raises BadResult."""
    text = str(value)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise BadResult(f"{name!r} is no name of a header")
    if _VALUE.fullmatch(text) is None:
        raise BadResult(f"the value of header {name} has characters that no header can have")
    return name, text
