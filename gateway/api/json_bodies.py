"""JSON bodies of management requests: read with a limit, and refused with the place where they go wrong."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import Request

from gateway.api.audit import note_document
from swarmfn.wire.errors import InvalidRequest, TooLarge

MAX_BODY = 1024 * 1024
"""Bytes; a function's description is a few hundred."""

_HINT = "Send a JSON object."


def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body, whatever its Content-Type says: clients other than browsers rarely bother.

    Raises TooLarge or InvalidRequest. Texts in it are such that they can go into an environment variable.
    """
    document = _parse(_read(request))
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body is {_kind(document)}, not an object.", _HINT)
    _check_texts(document)
    note_document(document)
    return document


def _read(request: Request) -> bytes:
    if (request.content_length or 0) <= MAX_BODY:
        body = request.stream.read(MAX_BODY + 1)
        if len(body) <= MAX_BODY:
            return body
    raise too_large()


def too_large() -> TooLarge:
    """For a body that no management request needs."""
    return TooLarge(f"the body is larger than {MAX_BODY} bytes.", "A function's code belongs in its image.")


def _parse(body: bytes) -> Any:
    if not body.strip():
        raise InvalidRequest("the body is empty.", _HINT)
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise InvalidRequest(f"the body is not JSON: {exc.msg} at {where}.", _HINT) from exc
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"the body is not UTF-8 at byte {exc.start}.", _HINT) from exc
    except RecursionError as exc:
        raise InvalidRequest("the body is nested too deeply.", _HINT) from exc
    except ValueError as exc:  # a number of thousands of digits
        raise InvalidRequest(f"the body is not usable: {exc}.", _HINT) from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_texts(document: dict[str, Any]) -> None:
    """NUL and half surrogate pairs are JSON, but no environment, file or log can hold them."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and not _is_plain(value):
            raise InvalidRequest(f"the body has a text with a character that cannot be stored: {value!r:.100}.")


def _is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _kind(document: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(document), "a number")
