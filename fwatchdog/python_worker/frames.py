"""What the watchdog and its worker processes say to each other: a small JSON head, then a body as it is."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

_PREFIX = struct.Struct("!IQ")
_PREFIX_SIZE = _PREFIX.size
# One encoder for all: json.dumps with separators makes a new one each time, at three times the cost.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class Frame(NamedTuple):
    """`body` in pieces, as it came."""

    head: dict[str, Any]
    body: list[bytes]


def encode_head(head: Mapping[str, Any], body_length: int) -> bytes:
    """The start of a frame; the body's bytes follow it."""
    encoded = _to_json(head).encode()
    return _PREFIX.pack(len(encoded), body_length) + encoded


class FrameReader:
    """Puts frames together out of pieces that end anywhere."""

    def __init__(self) -> None:
        self._start = b""
        self._frame: Frame | None = None
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
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
        self._start += data
        if len(self._start) < _PREFIX_SIZE:
            return b""
        head_length, self._missing = _PREFIX.unpack_from(self._start)
        end = _PREFIX_SIZE + head_length
        if len(self._start) < end:
            return b""
        self._frame = Frame(json.loads(self._start[_PREFIX_SIZE:end]), [])
        rest, self._start = self._start[end:], b""
        return rest
