"""The user's handler, called in the shape it has."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fwatchdog.python_worker.coroutines import Coroutines
from fwatchdog.python_worker.lane import Call
from fwatchdog.python_worker.loading import HandlerError
from fwatchdog.python_worker.paths import unescaped
from fwatchdog.python_worker.results import encode_piece, is_stream, to_result


class FirstValues(Mapping[str, str]):
    """Pairs as a mapping to each name's first value; `getlist(name)` has them all. Names are kept as they came."""

    def __init__(self, pairs: list[tuple[str, str]], ignore_case: bool = False) -> None:
        self._fold: Callable[[str], str] = str.lower if ignore_case else str
        self._names: dict[str, str] = {}
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._names.setdefault(self._fold(name), name)
            self._values.setdefault(self._fold(name), []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[self._fold(name)][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))

    def getlist(self, name: str) -> list[str]:
        return list(self._values.get(self._fold(name), ()))


@dataclass
class Event:
    """The request, for `handle(event, context)`. Header names match without regard to case."""

    body: bytes
    headers: FirstValues
    method: str
    query: FirstValues
    path: str


@dataclass
class Context:
    hostname: str


class Handler:
    """A loaded handler. `coroutines` is where those run that it returns."""

    def __init__(self, handle: Callable[..., Any], coroutines: Coroutines) -> None:
        self._handle = handle
        self._takes_event = _takes_event(handle)
        self._coroutines = coroutines
        self._context = Context(os.environ.get("HOSTNAME") or os.uname().nodename)

    def serve(self, call: Call) -> None:
        """Answers one call. Raises BadResult, LaneClosed, and whatever the user's code raises."""
        result = to_result(self._result(call.head, call.read()), self._takes_event)
        if is_stream(result.body):
            self._stream(call, result.status, result.headers, result.body)
        else:
            call.answer(result.status, result.headers, result.body)

    def close(self) -> None:
        self._coroutines.close()

    def _result(self, head: Mapping[str, Any], body: bytes) -> Any:
        if self._takes_event:
            event = _event(head, body)
            # Held by the event alone from here: a handler that drops its body frees the memory.
            del body
            result = self._handle(event, self._context)
        else:
            argument = _text_or_bytes(body)
            del body
            result = self._handle(argument)
        return self._coroutines.run(result) if inspect.iscoroutine(result) else result

    def _stream(self, call: Call, status: int, headers: list[tuple[str, str]], stream: Any) -> None:
        """Nothing is sent before there is a first piece: until then an exception can still become a 500."""
        pieces = self._coroutines.iterate(stream) if inspect.isasyncgen(stream) else stream
        try:
            for piece in pieces:
                data, media_type = encode_piece(piece)
                if call.has_begun:
                    call.piece(data)
                elif data:
                    call.begin(status, _with_media_type(headers, media_type), data)
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
        if call.has_begun:
            call.end()
        else:
            call.answer(status, _with_media_type(headers, encode_piece("")[1]), b"")


def _with_media_type(headers: list[tuple[str, str]], media_type: str) -> list[tuple[str, str]]:
    if any(name.lower() == "content-type" for name, _ in headers):
        return headers
    return [("Content-Type", media_type), *headers]


def _takes_event(handle: Callable[..., Any]) -> bool:
    """Whether it is `handle(event, context)` rather than `handle(req)`."""
    parameters = inspect.signature(handle).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if not positional or len(needed) > 2 or any(p.kind is p.KEYWORD_ONLY for p in needed):
        raise HandlerError(f"handle{inspect.signature(handle)} is neither handle(event, context) nor handle(req)")
    return len(positional) >= 2


def _event(head: Mapping[str, Any], body: bytes) -> Event:
    path, _, query = head["target"].partition("?")
    return Event(
        body=body,
        headers=FirstValues(head["headers"], ignore_case=True),
        method=head["method"],
        query=FirstValues(parse_qsl(query, keep_blank_values=True) if query else []),
        path=unescaped(path).decode("utf-8", "replace"),
    )


def _text_or_bytes(body: bytes) -> str | bytes:
    """Text where it is text: an image sent to `handle(req)` arrives as it is."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
