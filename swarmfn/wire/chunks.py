"""Chunked bodies (RFC 9112, section 7.1)."""

from __future__ import annotations

import re
from enum import Enum, auto

from swarmfn.wire.request_heads import BadRequest, check_trailer

_MAX_LINE = 4096
_MAX_TRAILERS = 16 * 1024
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_SIZE_LINE = re.compile(rb"0*([0-9A-Fa-f]{1,15})(?:;%b(?:=(?:%b|%b))?)*" % (_TOKEN, _TOKEN, _QUOTED))
_LENIENT_SIZE_LINE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class _Next(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedDecoder:
    """A chunked body. Chunk extensions and trailers are checked and dropped.

    A lenient one is for answers: some servers pad a chunk's size with spaces.
    """

    def __init__(self, is_lenient: bool = False) -> None:
        self._is_lenient = is_lenient
        self.done = False
        self._next = _Next.SIZE
        self._remaining = 0
        self._line = b""
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        pieces: list[bytes] = []
        # A position instead of slicing: many tiny chunks in one read must not cost their square.
        position = 0
        while position < len(data) and not self.done:
            if self._next is _Next.DATA:
                piece = data[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._next = _Next.DATA_END
            else:
                position = self._collect_line(data, position)
        return pieces, data[position:]

    def _collect_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        stop = len(data) if end < 0 else end + 1
        if len(self._line) + stop - position > _MAX_LINE:
            raise BadRequest(400, "a line of the chunked body is too long")
        self._line += data[position:stop]
        if end >= 0:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise BadRequest(400, "a line of the chunked body is malformed")
            self._take_line(line[:-2])
        return stop

    def _take_line(self, line: bytes) -> None:
        if self._next is _Next.SIZE:
            match = (_LENIENT_SIZE_LINE if self._is_lenient else _SIZE_LINE).fullmatch(line)
            if match is None:
                raise BadRequest(400, "a chunk size is malformed")
            self._remaining = int(match[1], 16)
            self._next = _Next.DATA if self._remaining else _Next.TRAILER
        elif self._next is _Next.DATA_END:
            if line:
                raise BadRequest(400, "a chunk is longer than its size")
            self._next = _Next.SIZE
        else:
            self._trailers += len(line)
            if self._trailers > _MAX_TRAILERS:
                raise BadRequest(400, "the trailers are too long")
            if line and not self._is_lenient:
                check_trailer(line)
            self.done = not line
