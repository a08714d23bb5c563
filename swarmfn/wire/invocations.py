"""An invocation, its response and a callback's delivery as they are stored: compact JSON with short names.

This is the `call` field (and the `response` field) of the job layout, a public contract; docs/reference/jobs.md
describes it for writers of other queue-workers. Bodies are stored beside the JSON, as raw bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from swarmfn.wire.errors import NewerLayout
from swarmfn.wire.headers import Headers
from swarmfn.wire.policies import RetryPolicy

VERSION = 1
"""Of the layout of what is stored. It grows when earlier programs would misread what is written now; a further field
does not change it, since programs that do not know it leave it alone."""


def require_known_layout(version: Any) -> None:
    """Raises NewerLayout when `version`, the `v` of a stored document, is beyond what this program reads."""
    if isinstance(version, int) and version > VERSION:
        raise NewerLayout(version, VERSION)


# Not frozen: making a frozen record of this many fields costs four times as much, and workers make thousands a second.
@dataclass(slots=True)
class Invocation:
    """One accepted asynchronous call.

    path: what followed the function's name, "" or beginning with "/"; query: without "?"; headers: end-to-end ones
    as received; exec_timeout: seconds one attempt may run; start_time: Unix nanoseconds when it was accepted; retry:
    the function's policy of that moment, if it has one; trace: the W3C Trace Context (`traceparent`) under which it
    runs, "" for none, kept as it is.
    """

    call_id: str
    function: str
    queue: str
    invoked_as: str
    method: str
    path: str
    query: str
    headers: Headers
    exec_timeout: float
    start_time: int
    callback_url: str = ""
    retry: RetryPolicy | None = None
    trace: str = ""

    def to_json(self) -> bytes:
        document: dict[str, Any] = {
            "v": VERSION,
            "fn": self.function,
            "m": self.method,
            "h": self.headers,
            "t": self.exec_timeout,
            "st": self.start_time,
        }
        if self.path:
            document["p"] = self.path
        if self.query:
            document["q"] = self.query
        if self.callback_url:
            document["cb"] = self.callback_url
        if self.invoked_as != self.function:
            document["as"] = self.invoked_as
        if self.retry is not None:
            document["r"] = self.retry.to_json()
        if self.trace:
            document["tp"] = self.trace
        return _dump(document)

    @classmethod
    def from_json(cls, call_id: str, queue: str, document: dict[str, Any]) -> Invocation:
        """Raises KeyError, TypeError or ValueError for a document that is not an invocation, and NewerLayout."""
        require_known_layout(document.get("v"))
        return cls(
            call_id=call_id,
            queue=queue,
            function=_text(document["fn"]),
            invoked_as=_text(document.get("as", document["fn"])),
            method=_text(document["m"]),
            path=_text(document.get("p", "")),
            query=_text(document.get("q", "")),
            headers=_headers(document["h"]),
            exec_timeout=float(document["t"]),
            start_time=int(document["st"]),
            callback_url=_text(document.get("cb", "")),
            retry=RetryPolicy.from_json(document["r"]) if "r" in document else None,
            trace=_text(document.get("tp", "")),
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result on its way to a callback URL; `call_id` is the invocation it reports, `trace` that one's."""

    delivery_id: str
    call_id: str
    function: str
    url: str
    headers: Headers
    trace: str = ""

    def to_json(self) -> bytes:
        document = {"v": VERSION, "to": self.url, "of": self.call_id, "fn": self.function, "h": self.headers}
        if self.trace:
            document["tp"] = self.trace
        return _dump(document)

    @classmethod
    def from_json(cls, delivery_id: str, document: dict[str, Any]) -> Delivery:
        """Raises KeyError, TypeError or ValueError for a document that is not a delivery, and NewerLayout."""
        require_known_layout(document.get("v"))
        return cls(
            delivery_id=delivery_id,
            call_id=_text(document["of"]),
            function=_text(document["fn"]),
            url=_text(document["to"]),
            headers=_headers(document["h"]),
            trace=_text(document.get("tp", "")),
        )


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A function's answer without its body. `size` is the body's length in bytes before any cut."""

    status: int
    headers: Headers
    size: int
    is_truncated: bool = False

    def to_json(self) -> bytes:
        document: dict[str, Any] = {"v": VERSION, "s": self.status, "h": self.headers, "n": self.size}
        if self.is_truncated:
            document["cut"] = True
        return _dump(document)

    @classmethod
    def from_json(cls, text: bytes) -> StoredResponse:
        """Raises KeyError, TypeError or ValueError, and NewerLayout."""
        document = json.loads(text)
        require_known_layout(document.get("v"))
        return cls(int(document["s"]), _headers(document["h"]), int(document["n"]), bool(document.get("cut", False)))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished try. `status` is the function's, or 0 when the platform could not get an answer (`problem` says
    why; such a try does not count against the function, and its `number` is 0; the function's own are numbered from 1).
    `at` is Unix seconds, `seconds` how long it took."""

    at: float
    seconds: float
    status: int
    worker: str
    problem: str = ""
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "at": round(self.at, 3),
            "seconds": round(self.seconds, 6),
            "status": self.status,
            "worker": self.worker,
        }
        if self.problem:
            document["problem"] = self.problem
        if self.number:
            document["number"] = self.number
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Attempt:
        """Raises KeyError, TypeError or ValueError. Unknown fields are ignored, so that a newer worker can add some."""
        return cls(
            at=float(document["at"]),
            seconds=float(document["seconds"]),
            status=int(document["status"]),
            worker=_text(document["worker"]),
            problem=_text(document.get("problem", "")),
            number=int(document.get("number", 0)),
        )


@dataclass(frozen=True, slots=True)
class Foreign:
    """Bytes on one of our queues that are neither an invocation nor a delivery."""

    problem: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Newer:
    """A job that a newer version of this platform has stored: it waits for a worker that can read it."""

    problem: str


# Made once: `json.dumps` with separators makes an encoder for each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _dump(document: dict[str, Any]) -> bytes:
    return _encode(document).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.50}")
    return value


def _headers(value: Any) -> Headers:
    pairs = [(name, content) for name, content in value]
    for name, content in pairs:
        if not (isinstance(name, str) and isinstance(content, str)):
            raise TypeError(f"expected a header's name and value, got {name!r:.50} and {content!r:.50}")
    return pairs
