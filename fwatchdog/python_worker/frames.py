"""What the watchdog and its worker processes say to each other: a kind, a small JSON head, then a body as it is.

They talk over lanes: socket pairs, each with one call at a time and its frames in order.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

# From the watchdog.
CALL = 1
"""A request, with what has arrived of its body; `more` in the head says whether that is not all."""
BODY = 2
"""The answer to MORE: the next bytes of the body; `more` as above."""
STOP = 3
"""Nobody waits for the call any more; answered with STOPPED once it has ended."""

# From the worker process.
READY = 10
FAILED = 11
"""It cannot serve; `reason` is one line."""
ANSWER = 12
"""A whole response."""
BEGIN = 13
"""The head of a response whose body follows in PIECEs up to an END, and the body's first bytes."""
PIECE = 14
END = 15
ERROR = 16
"""The call failed, before its response or during it: `error` for the caller, `traceback` for write_debug."""
MORE = 17
"""The call wants more of the request's body."""
STOPPED = 18

PREFIX = struct.Struct("!BIQ")
# One encoder for all: json.dumps with separators makes a new one each time, at three times the cost.
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_NOTHING: Mapping[str, Any] = {}


class Frame(NamedTuple):
    """`body` in pieces, as it came."""

    kind: int
    head: Mapping[str, Any]
    body: list[bytes]


def lead(kind: int, head: Mapping[str, Any] = _NOTHING, body_length: int = 0) -> bytes:
    """The start of a frame; the body's bytes follow it."""
    encoded = _to_json(head).encode() if head else b""
    return PREFIX.pack(kind, len(encoded), body_length) + encoded


def parse_head(encoded: bytes) -> Mapping[str, Any]:
    """Raises ValueError."""
    head: Mapping[str, Any] = json.loads(encoded) if encoded else _NOTHING
    return head


class FrameReader:
    """Puts frames together out of pieces that end anywhere."""

    def __init__(self) -> None:
        self._start = b""
        self._frame: Frame | None = None
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises ValueError for what is not a frame."""
        frames: list[Frame] = []
        while True:
            if self._frame is None:
                data = self._begin(data)
                if self._frame is None:
                    return frames
            piece = data[: self._missing]
            if piece:
                self._frame.body.append(piece)
                self._missing -= len(piece)
                data = data[len(piece) :]
            if self._missing:
                return frames
            frames.append(self._frame)
            self._frame = None

    def _begin(self, data: bytes) -> bytes:
        """Starts the next frame once its head is complete; what is left of `data`."""
        self._start = self._start + data if self._start else data
        if len(self._start) < PREFIX.size:
            return b""
        kind, head_length, self._missing = PREFIX.unpack_from(self._start)
        end = PREFIX.size + head_length
        if len(self._start) < end:
            return b""
        self._frame = Frame(kind, parse_head(self._start[PREFIX.size : end]), [])
        rest, self._start = self._start[end:], b""
        return rest
