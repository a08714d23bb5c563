"""A client's request for an invocation route, as both front ends hand it to the core."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from swarmfn.wire.call_ids import is_client_call_id, new_call_id

RawHeaders = list[tuple[bytes, bytes]]
"""Header pairs as bytes, in order."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
"""With which functions can be called."""

CLIENT_GONE = 499
"""The status under which a call is counted whose client left (nginx's convention); nobody sees it."""

SMALL_BODY = 64 * 1024
"""Bodies up to this many bytes are read whole before the function is called: one write, and another replica can be
tried when the first refuses."""


# Not frozen: making a frozen record of this many fields costs four times as much, and each call needs one.
@dataclass(slots=True)
class Incoming:
    """name: as in the URL, not checked yet; path: what followed it, "" or beginning with "/", still percent-encoded;
    query: without "?"; headers: names in lower case; length: Content-Length, None when the body is chunked; client: IP
    address; is_public: it came to a port that serves no management."""

    method: str
    name: str
    path: str
    query: str
    headers: RawHeaders
    length: int | None
    client: str
    is_public: bool = False
    started: float = field(default_factory=time.perf_counter)
    start_time: int = field(default_factory=time.time_ns)

    def header(self, name: bytes) -> str:
        """The first value of header `name` (lower case), or ""."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def is_small(self) -> bool:
        """Its body is read whole before anything is done with it."""
        return self.length is not None and self.length <= SMALL_BODY

    def call_id(self) -> str:
        """The client's X-Call-Id if it may be one, else a fresh id."""
        chosen = self.header(b"x-call-id")
        return chosen if chosen and is_client_call_id(chosen) else new_call_id()


Body = bytes | AsyncIterator[bytes]


def split_called(called: str) -> tuple[str, str]:
    """A function's name and the rest of the path, of what follows `/function/`: `echo/a/b` → ("echo", "/a/b").

    An empty name is a name like any other: no function has it.
    """
    name, slash, rest = called.partition("/")
    return name, slash + rest
