"""Logs in the engine's framing: eight bytes (stream, length) before each piece."""

from __future__ import annotations

import re
import struct

_HEADER = struct.Struct(">BxxxL")
_STREAMS = (0, 1, 2)
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z ")


def unframed(framed: bytes) -> bytes:
    """The text alone; a piece that was cut off is kept as far as it goes. What is not framed, as of a service with a
    terminal, stays as it is."""
    pieces = []
    position = 0
    while position + _HEADER.size <= len(framed):
        stream, length = _HEADER.unpack_from(framed, position)
        if stream not in _STREAMS or framed[position + 1 : position + 4] != b"\0\0\0":
            return framed
        position += _HEADER.size
        pieces.append(framed[position : position + length])
        position += length
    return b"".join(pieces)


def in_order(timed: bytes) -> bytes:
    """Lines that begin with their time, sorted by it, without it."""
    lines: list[tuple[bytes, bytes]] = []
    for line in timed.splitlines(keepends=True):
        match = _TIME.match(line)
        if match:
            lines.append((match.group(1), line[match.end() :]))
        elif lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + line)
    # Stable: lines of one moment stay as they came.
    return b"".join(text for _, text in sorted(lines, key=lambda line: line[0]))


def last_bytes(text: bytes, limit: int) -> bytes:
    """The last whole lines, at most `limit` bytes."""
    if len(text) <= limit:
        return text
    end = text[-limit:]
    return end[end.find(b"\n") + 1 :]


def last_line(text: bytes) -> str:
    """The last line with something in it."""
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
