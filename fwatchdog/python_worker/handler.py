"""The user's handler, called in the shape it has."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from fwatchdog.python_worker.coroutines import Coroutines
from fwatchdog.python_worker.lane import Call
from fwatchdog.python_worker.loading import HandlerError
from fwatchdog.python_worker.multidict import BadRequestKeyError, ImmutableMultiDict, parse_query
from fwatchdog.python_worker.paths import unescaped
from fwatchdog.python_worker.request_headers import RequestHeaders
from fwatchdog.python_worker.results import (
    HTML,
    encode_piece,
    has_media_type,
    is_application,
    is_stream,
    parts_of,
    to_result,
)
from swarmfn.wire.headers import Headers, first

if TYPE_CHECKING:
    from fwatchdog.python_worker.responses import FlaskContexts
    from fwatchdog.python_worker.surroundings import Surroundings

_THREADS = (
    "handle(req) shares its process with other calls (threads): it finds no Http_ variables in its environment, and "
    "what it prints goes to the log instead of into the answer; threads=1 gives it both"
)
# As Flask has it: handlers written for it let the caller know in this way.
_BAD_REQUEST = """<!doctype html>
<html lang=en>
<title>400 Bad Request</title>
<h1>Bad Request</h1>
<p>The browser (or proxy) sent a request that this server could not understand.</p>
"""


class _Once:
    """An attribute that is made when it is first asked for, and may be set like any other."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value


class Event:
    """The request, for `handle(event, context)`."""

    def __init__(self, head: Mapping[str, Any], body: bytes) -> None:
        self.body = body
        self.method: str = head["method"]
        self._head = head

    @_Once
    def headers(self) -> RequestHeaders:
        return RequestHeaders(self._head["headers"])

    @_Once
    def query(self) -> ImmutableMultiDict:
        return parse_query(self._head["target"].partition("?")[2])

    @_Once
    def path(self) -> str:
        return unescaped(self._head["target"].partition("?")[0]).decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"Event({self.method} {self.path!r}, {len(self.body)} bytes)"


class Context:
    def __init__(self, hostname: str) -> None:
        self.hostname = hostname


class Handler:
    """A loaded handler. `coroutines` is where those run that it returns.

    `surroundings` makes those of a `handle(req)`, where a process has one call at a time.
    """

    def __init__(
        self,
        handle: Callable[..., Any],
        coroutines: Coroutines,
        has_threads: bool,
        surroundings: Callable[[], Surroundings] | None = None,
    ) -> None:
        self._handle = handle
        self._takes_event = _takes_event(handle)
        self._media_type = HTML if self._takes_event else ""
        self._surroundings = surroundings() if surroundings is not None and not self._takes_event else None
        self._coroutines = coroutines
        self._has_threads = has_threads
        self._hostname = os.environ.get("HOSTNAME") or os.uname().nodename
        self._flask: FlaskContexts | None = None

    @property
    def warning(self) -> str:
        return _THREADS if self._has_threads and not self._takes_event else ""

    def serve(self, call: Call) -> None:
        """Answers one call. Raises BadResult, LaneClosed, and whatever the user's code raises."""
        if self._surroundings is not None:
            try:
                self._answer(call, self._result(call.head, call.read()))
            finally:
                self._surroundings.end()
        elif self._takes_event and "flask" in sys.modules:
            body = call.read()
            with self._flask_context(call.head, body):
                self._answer(call, self._result(call.head, body))
        else:
            self._answer(call, self._result(call.head, call.read()))

    def close(self) -> None:
        self._coroutines.close()

    def _flask_context(self, head: Mapping[str, Any], body: bytes) -> AbstractContextManager[Any]:
        """A handler may have imported Flask in the middle of an earlier call."""
        if self._flask is None:
            from fwatchdog.python_worker.responses import FlaskContexts

            self._flask = FlaskContexts(self._has_threads)
        return self._flask.of(head, body)

    def _result(self, head: Mapping[str, Any], body: bytes) -> Any:
        try:
            if self._takes_event:
                event = Event(head, body)
                # Held by the event alone from here: a handler that drops its body frees the memory.
                del body
                result = self._handle(event, Context(self._hostname))
            else:
                if self._surroundings is not None:
                    self._surroundings.begin(head, len(body))
                argument = _text_or_bytes(body)
                del body
                result = self._handle(argument)
            return self._coroutines.run(result) if inspect.iscoroutine(result) else result
        except SystemExit as exc:
            if self._surroundings is None or exc.code not in (None, 0):
                raise
            # A process that ends so has succeeded; what it printed is its answer.
            return None
        except Exception as exc:
            answer = _answer_in(exc)
            if answer is None:
                raise
            return answer

    def _answer(self, call: Call, value: Any) -> None:
        parts = parts_of(value, self._takes_event)
        del value
        if is_application(parts.body):
            from fwatchdog.python_worker.responses import serve_application

            if self._surroundings is not None:
                self._surroundings.end()
            serve_application(parts, call, self._has_threads)
            return
        result = to_result(parts, self._media_type)
        if is_stream(result.body):
            self._stream(call, result.status, result.headers, result.body)
        else:
            body = self._printed(is_last=True) + result.body
            call.answer(result.status, self._typed(call, result.headers, body), body)

    def _stream(self, call: Call, status: int, headers: Headers, stream: Any) -> None:
        """Nothing is sent before there is a first piece: until then an exception can still become a 500."""
        pieces = self._coroutines.iterate(stream) if inspect.isasyncgen(stream) else stream
        try:
            for piece in pieces:
                self._send_piece(call, status, headers, self._printed() + encode_piece(piece))
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
        self._send_piece(call, status, headers, self._printed(is_last=True))
        if call.has_begun:
            call.end()
        else:
            call.answer(status, self._typed(call, headers, b""), b"")

    def _send_piece(self, call: Call, status: int, headers: Headers, data: bytes) -> None:
        if call.has_begun:
            call.piece(data)
        elif data:
            call.begin(status, self._typed(call, headers, data), data)

    def _printed(self, is_last: bool = False) -> bytes:
        """What the handler printed since the last time, where that is part of its answer."""
        if self._surroundings is None:
            return b""
        return self._surroundings.take_last() if is_last else self._surroundings.take()

    def _typed(self, call: Call, headers: Headers, body: bytes) -> Headers:
        """`headers` with a type. A `handle(req)` that names none has the request's or else that of the body, as a
        process has."""
        if self._takes_event or has_media_type(headers):
            return headers
        from fwatchdog.sniffing import detected_type

        return [("Content-Type", first(call.head["headers"], "content-type") or detected_type(body)), *headers]


def _answer_in(exc: Exception) -> Any:
    """The answer that an exception means by itself; None for one that is a failure."""
    if isinstance(exc, BadRequestKeyError):
        return _BAD_REQUEST, 400
    # Werkzeug's, such as those of abort(404): they are applications that answer.
    return exc if callable(exc) and callable(getattr(exc, "get_response", None)) else None


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


def _text_or_bytes(body: bytes) -> str | bytes:
    """Text where it is text: an image sent to `handle(req)` arrives as it is."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
