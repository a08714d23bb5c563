"""What a handler returned, as an HTTP response."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from fwatchdog.python_worker.json_text import to_json
from swarmfn.wire.headers import Headers

HTML = "text/html; charset=utf-8"
"""What Flask sends text and bytes as by default."""
JSON = "application/json"
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_RESPONSE_KEYS = frozenset({"statusCode", "headers", "body"})
_NOT_MODIFIED = 304
_URLS = frozenset({"location", "content-location"})
_KEPT_IN_URLS = "%!#$&'()*+,/:;=?@[]~"


class BadResult(Exception):
    """The handler returned something that is not a response; the message says what."""


class Parts(NamedTuple):
    """What a handler returned, taken apart but not looked at. `status` and `headers` are None where it has none."""

    body: Any
    status: Any
    headers: Any


class Result(NamedTuple):
    """`body` is bytes, or an iterator or async generator of pieces that `encode_piece` takes."""

    status: int
    headers: Headers
    body: Any


def parts_of(value: Any, takes_event: bool) -> Parts:
    """A dict with statusCode and a tuple (body, status, headers) have parts; everything else is a body alone.

    In `handle(event, context)` a dict of nothing but `body` and `headers` has them too. Raises BadResult.
    """
    if isinstance(value, tuple):
        return _parts_of_tuple(value)
    if isinstance(value, Mapping) and _is_response(value, takes_event):
        return Parts(_body_of_dict(value.get("body")), value.get("statusCode"), value.get("headers"))
    return Parts(value, None, None)


def _parts_of_tuple(value: tuple[Any, ...]) -> Parts:
    if len(value) == 1:
        return Parts(value[0], None, None)
    if len(value) == 2:
        body, second = value
        has_headers = isinstance(second, Mapping | list | tuple) or hasattr(second, "to_wsgi_list")
        return Parts(body, None, second) if has_headers else Parts(body, second, None)
    if len(value) == 3:
        return Parts(*value)
    raise BadResult("a tuple must be (body, status), (body, headers) or (body, status, headers)")


def _is_response(value: Mapping[Any, Any], takes_event: bool) -> bool:
    return "statusCode" in value or (takes_event and bool(value) and _RESPONSE_KEYS.issuperset(value))


def _body_of_dict(body: Any) -> Any:
    """What has no form of its own is sent as str() has it: an exception, a number, a date."""
    if body is None or isinstance(body, str | bytes | bytearray | memoryview | Mapping | list) or is_stream(body):
        return body
    return body if is_application(body) and not isinstance(body, BaseException) else str(body)


def is_stream(body: Any) -> bool:
    """Whether it is produced piece by piece, as generators do it, and open files."""
    return isinstance(body, Iterator) or inspect.isasyncgen(body)


def is_application(body: Any) -> bool:
    """Whether it is a response object (Flask's, Werkzeug's, WebOb's) or some other WSGI application. Werkzeug's
    exceptions are, too."""
    return callable(body) and not isinstance(body, type) and not is_stream(body)


def to_result(parts: Parts, media_type: str) -> Result:
    """The response: text, bytes or a stream, of type `media_type` (empty: none yet), or JSON data. Raises BadResult."""
    pairs = checked_headers(parts.headers)
    status = checked_status(parts.status)
    if is_stream(parts.body):
        return Result(status, with_media_type(pairs, media_type), parts.body)
    encoded = _text(parts.body)
    if encoded is None:
        encoded, media_type = _data(parts.body), JSON
    return Result(status, pairs if status == _NOT_MODIFIED else with_media_type(pairs, media_type), encoded)


def with_media_type(headers: Headers, media_type: str) -> Headers:
    """`headers`, with this Content-Type unless they say another."""
    return [("Content-Type", media_type), *headers] if media_type and not has_media_type(headers) else headers


def has_media_type(headers: Headers) -> bool:
    return any(name.lower() == "content-type" for name, _ in headers)


def encode_piece(piece: Any) -> bytes:
    """The bytes of one piece of a stream. Raises BadResult."""
    encoded = _text(piece) if piece is not None else None
    if encoded is None:
        raise BadResult(f"a generator must yield str or bytes, not {type(piece).__name__}")
    return encoded


def _text(body: Any) -> bytes | None:
    """The bytes of text, bytes or nothing; None for anything else."""
    if isinstance(body, str):
        # Lone surrogates have no UTF-8 form; a function that echoes odd file names must not fail for them.
        return body.encode("utf-8", "surrogateescape")
    if isinstance(body, bytes):
        return body
    if body is None:
        return b""
    return bytes(body) if isinstance(body, bytearray | memoryview) else None


def _data(body: Any) -> bytes:
    try:
        return to_json(body)
    except (TypeError, ValueError) as exc:
        raise BadResult(f"a body of type {type(body).__name__} cannot be sent: {exc}") from exc


def checked_status(status: Any) -> int:
    """A final status of HTTP, which may have its words behind it; None is 200. Raises BadResult."""
    if status is None:
        return 200
    try:
        number = int(status.split(None, 1)[0] if isinstance(status, str) else status)
    except (TypeError, ValueError, IndexError):
        number = 0
    if not 200 <= number <= 599:
        raise BadResult(f"{status!r} is not a status code")
    return number


def checked_headers(headers: Any) -> Headers:
    """Pairs of what a handler gave as headers. Raises BadResult."""
    return [checked_header(name, value) for name, value in _pairs(headers)] if headers else []


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    """Headers from a mapping (a list as value repeats the header) or from pairs."""
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
        raise BadResult(f"{name!r} is not a header name")
    if not text.isascii() and name.lower() in _URLS:
        text = quote(text, safe=_KEPT_IN_URLS)
    if _VALUE.fullmatch(text) is None:
        raise BadResult(f"the value of header {name} has characters that are not allowed in a header")
    return name, text
