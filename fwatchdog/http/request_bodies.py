"""Request bodies: decoding their framing, and handing them on with back-pressure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

HIGH_WATER = 4 * 1024 * 1024
"""Unread bytes of a body above which its client has to wait. Generous: a connection that is not read cannot tell that
it closed."""


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


class RequestBody:
    """A request's body as it arrives. One reader; the connection pauses when that is more than `HIGH_WATER` behind."""

    def __init__(self, wanted: Callable[[], None], made_room: Callable[[], None]) -> None:
        """`wanted` is called when the reader waits for more, `made_room` when it took something."""
        self._wanted = wanted
        self._made_room = made_room
        self._pieces: deque[bytes] = deque()
        self._is_complete = False
        self._is_discarded = False
        self._waiter: asyncio.Future[None] | None = None
        self.unread = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of it has arrived; `take()` then returns the whole rest."""
        return self._is_complete

    def push(self, pieces: list[bytes]) -> None:
        if not self._is_discarded:
            self._pieces.extend(pieces)
            self.unread += sum(map(len, pieces))
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
        self.unread = 0
        self._made_room()
        return pieces

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        while not self._pieces:
            if self._is_complete:
                return b""
            await self._more()
        piece = self._pieces.popleft()
        self.unread -= len(piece)
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
