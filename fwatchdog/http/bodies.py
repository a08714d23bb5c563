"""Request bodies: decoding their framing, and handing them on with back-pressure."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from fwatchdog.http.head import BadRequest

AHEAD = 4 * 1024 * 1024
"""Bytes of a body that may wait for its reader. Generous: a connection that is not read cannot tell that it closed."""

_MAX_LINE = 4096
_MAX_TRAILERS = 16 * 1024
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?")


class BodyDecoder(Protocol):
    """Takes a body out of the bytes of a connection."""

    done: bool

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The body's pieces in `data`, and what follows the body. Raises BadRequest."""


class LengthDecoder:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        piece = data[: self._remaining]
        self._remaining -= len(piece)
        self.done = self._remaining == 0
        return ([piece] if piece else []), data[len(piece) :]


class _Next(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedDecoder:
    """A chunked body. Chunk extensions and trailers are checked for size and dropped."""

    def __init__(self) -> None:
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
            match = _SIZE_LINE.fullmatch(line)
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
            self.done = not line


class RequestBody:
    """A request's body as it arrives. One reader; the connection pauses when that is more than `AHEAD` behind."""

    def __init__(self, wanted: Callable[[], None], made_room: Callable[[], None]) -> None:
        """`wanted` is called when the reader waits for more, `made_room` when it took something."""
        self._wanted = wanted
        self._made_room = made_room
        self._pieces: deque[bytes] = deque()
        self._is_complete = False
        self._is_discarded = False
        self._waiter: asyncio.Future[None] | None = None
        self.waiting_bytes = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of it has arrived; `take()` then returns the whole rest."""
        return self._is_complete

    def push(self, pieces: list[bytes]) -> None:
        if not self._is_discarded:
            self._pieces.extend(pieces)
            self.waiting_bytes += sum(map(len, pieces))
        self._wake()

    def finish(self) -> None:
        self._is_complete = True
        self._wake()

    def discard(self) -> None:
        """Nobody will read the rest: it is dropped as it arrives."""
        self._is_discarded = True
        self.take()

    def take(self) -> list[bytes]:
        """What has arrived and was not read yet."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self.waiting_bytes = 0
        self._made_room()
        return pieces

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        while not self._pieces:
            if self._is_complete:
                return b""
            await self._more()
        piece = self._pieces.popleft()
        self.waiting_bytes -= len(piece)
        self._made_room()
        return piece

    async def read_all(self) -> list[bytes]:
        """All of it, in pieces. Takes as much memory as the body is long."""
        pieces = self.take()
        while not self._is_complete:
            await self._more()
            pieces += self.take()
        return pieces

    async def wait_complete(self) -> None:
        """Returns once all of it has arrived, as much memory as that takes; `take()` then has the whole of it."""
        if self._is_complete:
            return
        pieces = await self.read_all()
        self._pieces.extend(pieces)

    async def _more(self) -> None:
        self._wanted()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
