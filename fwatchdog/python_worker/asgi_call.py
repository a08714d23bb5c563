"""One call of an ASGI application: its scope, what it receives and what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.failures import traceback_of
from fwatchdog.python_worker.frames import Frame
from fwatchdog.python_worker.output import flush, output_of, write_traceback
from fwatchdog.python_worker.paths import unescaped
from fwatchdog.python_worker.results import BadResult, checked_header, checked_status

Message = MutableMapping[str, Any]

_PIECE = 256 * 1024


class Outgoing(Protocol):
    """The lane's way to the watchdog."""

    def write(self, kind: int, head: Mapping[str, Any] | None = None, body: bytes | memoryview = b"") -> None: ...

    async def drained(self) -> None: ...


class AsgiCall:
    """`run` is what the call's `task` does."""

    def __init__(self, frame: Frame, lane: Outgoing) -> None:
        self.task: asyncio.Task[None] | None = None
        self._head = frame.head
        self._lane = lane
        self._body: bytes | None = b"".join(frame.body)
        self._has_more = bool(frame.head["more"])
        self._news = asyncio.Event()
        self._is_asking = False
        self._is_gone = False
        self._start: Mapping[str, Any] | None = None
        self._has_begun = False
        self._has_ended = False

    async def run(self, app: Any, state: Mapping[str, Any]) -> None:
        """Calls the application. Its time limit bounds what it does after its response, too."""
        assert self.task is not None
        limit = self._head["timeout"]
        timer = asyncio.get_running_loop().call_later(limit, self.task.cancel) if limit else None
        with output_of(self._head["call_id"]):
            try:
                await app(self._scope(state), self._receive, self._send)
                if not self._has_ended:
                    raise BadResult("the ASGI application returned before it had sent a whole response")
            except BadResult as exc:
                self._fail(str(exc), "")
            except asyncio.CancelledError:
                self._fail("CancelledError", "")
            except BaseException as exc:
                trace = traceback_of(exc)
                write_traceback(trace)
                self._fail(type(exc).__name__, trace)
        if timer is not None:
            timer.cancel()

    def arrived(self, frame: Frame) -> None:
        """More of the request's body is here."""
        self._body = b"".join(frame.body)
        self._has_more = bool(frame.head["more"])
        self._is_asking = False
        self._news.set()

    def disconnect(self) -> None:
        """The caller has gone."""
        self._is_gone = True
        self._news.set()

    def _scope(self, state: Mapping[str, Any]) -> dict[str, Any]:
        path, _, query = self._head["target"].partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._head["method"].upper(),
            "scheme": "http",
            "path": unescaped(path).decode("utf-8", "replace"),
            "raw_path": _latin(path),
            "query_string": _latin(query),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._head["headers"]
            ],
            "client": None,
            "server": None,
            "state": dict(state),
        }

    async def _receive(self) -> Message:
        if self._body is None and self._has_more and not self._is_asking:
            self._is_asking = True
            self._lane.write(frames.MORE)
        while not self._is_gone and not self._has_ended:
            if self._body is not None:
                body, self._body = self._body, None
                return {"type": "http.request", "body": body, "more_body": self._has_more}
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._start is not None:
                raise RuntimeError("the response has started already")
            headers = [_header(name, value) for name, value in message.get("headers", ())]
            self._start = {"status": checked_status(message["status"]), "headers": headers}
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            raise RuntimeError(f"this server does not support {message['type']}")

    async def _send_body(self, body: bytes, has_more: bool) -> None:
        if self._start is None or self._has_ended:
            raise RuntimeError("a body before the start of the response, or after its end")
        if self._is_gone:
            return
        flush()
        if not has_more and not self._has_begun and self._head["method"] != "HEAD":
            self._end(frames.ANSWER, self._start, body)
            return
        rest = memoryview(body)
        if not self._has_begun and (rest or not has_more):
            self._has_begun = True
            self._lane.write(frames.BEGIN, self._start, rest[:_PIECE])
            rest = rest[_PIECE:]
        while rest:
            await self._lane.drained()
            self._lane.write(frames.PIECE, None, rest[:_PIECE])
            rest = rest[_PIECE:]
        if not has_more:
            self._end(frames.END)
        await self._lane.drained()

    def _end(self, kind: int, head: Mapping[str, Any] | None = None, body: bytes = b"") -> None:
        self._has_ended = True
        self._lane.write(kind, head, body)
        self._news.set()

    def _fail(self, error: str, trace: str) -> None:
        flush()
        if not self._has_ended and not self._is_gone:
            self._has_ended = True
            self._lane.write(frames.ERROR, {"error": error, "traceback": trace})


def _header(name: bytes, value: bytes) -> tuple[str, str]:
    return checked_header(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))


def _latin(text: str) -> bytes:
    return text.encode("latin-1")
