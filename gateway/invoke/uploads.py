"""Large bodies of asynchronous calls: handed on to Redis as they come, so that the gateway holds a piece of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Protocol

from gateway.invoke.body_budget import BodyBudget, Held
from gateway.invoke.incoming import Incoming
from gateway.invoke.queue_capacity import QueueCapacity
from swarmfn.jobs.uploads import Upload

PIECE = 1 << 19
"""Bytes that are sent to Redis at a time."""

WHOLE = 1 << 21
"""Bodies up to this many bytes are stored whole. With its buffers an upload in pieces holds about as much."""


def held_of(incoming: Incoming) -> int:
    """Bytes of its body that are in memory at a time; 0 when its length is not known."""
    return min(incoming.length or 0, WHOLE)


class Beginning:
    """The first bytes of a body, and the rest of it that is still to come in `chunks`."""

    def __init__(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        self._buffer = BytesIO(first)
        self._buffer.seek(0, 2)
        self._chunks = chunks

    async def gather(self, held: Held) -> bytes | None:
        """The whole body, counted in `held`; None when it is too large for that. Raises Unavailable."""
        async for chunk in self._chunks:
            self._buffer.write(chunk)
            held.grow_to(self._buffer.tell())
            if self._buffer.tell() > WHOLE:
                return None
        return self._buffer.getvalue()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of the body, what was gathered already included."""
        async for chunk in self._chunks:
            if self._buffer.tell() >= PIECE:
                yield self._take()
            self._buffer.write(chunk)
        yield self._take()

    def _take(self) -> bytes:
        # Unlike a list of chunks that is joined, a BytesIO gives what it has without a copy.
        buffer, self._buffer = self._buffer, BytesIO()
        return buffer.getvalue()


class UploadStore(Protocol):
    """Where bodies go; see Submissions."""

    def begin_upload(self, call_id: str) -> Upload: ...


class Uploads:
    """Sends bodies to Redis. Those that are unfinished count towards `budget`, by what is announced of them. It is half
    of the memory that `capacity` leaves for calls, or its own size where no limit is known; room for a body of
    `max_body` bytes in any case."""

    def __init__(self, store: UploadStore, capacity: QueueCapacity, budget: BodyBudget, max_body: int) -> None:
        self._store = store
        self._capacity = capacity
        self._budget = budget
        self._plain_size = budget.size
        self._max_body = max_body

    def reserve(self, incoming: Incoming) -> Held:
        """Room for its body, until it is released. Raises Unavailable."""
        most = self._capacity.max_memory // 2
        size = max(most or self._plain_size, self._max_body)
        self._budget.resize(size, "half of queue_max_memory" if most else "upload_budget")
        return self._budget.hold_for(incoming, incoming.length or 0)

    @contextmanager
    def begin(self, call_id: str, reserved: Held) -> Iterator[Unfinished]:
        """An upload that is dropped when the block fails."""
        with self._store.begin_upload(call_id) as upload:
            yield Unfinished(upload, self._capacity, reserved)


class Unfinished:
    """One body, as far as it has come."""

    def __init__(self, body: Upload, capacity: QueueCapacity, reserved: Held) -> None:
        self.body = body
        self._capacity = capacity
        self._reserved = reserved

    async def fill(self, pieces: AsyncIterator[bytes]) -> None:
        """Raises Unavailable or QueueUnavailable."""
        async for piece in pieces:
            self._reserved.grow_to(len(self.body) + len(piece))
            self._capacity.take(len(piece))
            try:
                await self.body.append(piece)
            finally:
                self._capacity.settle(len(piece))
