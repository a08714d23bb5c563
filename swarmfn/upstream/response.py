"""The answer of one exchange, as its reader sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from swarmfn.upstream.failures import BodyTooLarge, UpstreamFailure

HIGH_WATER = 256 * 1024
"""Unread bytes of a body above which the connection stops reading, so that the replica must wait for the reader."""


class Source(Protocol):
    """Where an answer comes from, as far as its reader needs it: the connection."""

    loop: asyncio.AbstractEventLoop
    address: str
    is_reused: bool

    def abort(self, problem: str) -> None:
        """Ends the exchange as Broken, and closes the connection."""

    def resume(self) -> None:
        """The reader has caught up."""


class Response:
    """One answer. `headers` are in their order, names as received, hop-by-hop ones included; trailers are dropped.

    For one reader at a time, on the loop of its Upstream.
    """

    __slots__ = (
        "_chunks",
        "_connection",
        "_waiter",
        "address",
        "failure",
        "headers",
        "is_complete",
        "is_reused",
        "status",
        "unread",
    )

    def __init__(self, connection: Source, waiter: asyncio.Future[None]) -> None:
        self.address = connection.address
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        """All of the body has been received (not necessarily read)."""
        self.is_reused = connection.is_reused
        """The request went over a connection that had served another one before."""
        self.failure: BaseException | None = None
        """What ended the exchange too early; raised once all that had come is read."""
        self._chunks: list[bytes] = []
        self.unread = 0
        """Bytes received and not read yet."""
        self._waiter: asyncio.Future[None] | None = waiter
        # Set while the connection is ours: from the start of the exchange to its end.
        self._connection: Source | None = connection

    def complete_body(self) -> bytes | None:
        """The rest of the body if it has all been received, which small ones have with their head; else None.

        Counts as reading: a second call gives b"".
        """
        if not self.is_complete:
            return None
        return self._take()

    def peek(self) -> bytes:
        """What has been received and not read. It stays to be read."""
        return b"".join(self._chunks)

    async def next_chunk(self) -> bytes:
        """What has been received and not read, as soon as there is something; b"" after the end."""
        while not self._chunks:
            if self.is_complete:
                return b""
            await self._arrival()
        return self._take()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Leaving the loop early and dropping the iterator aborts the exchange."""
        try:
            while data := await self.next_chunk():
                yield data
        finally:
            self.abort()

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body. Over `limit` bytes: aborts the exchange and raises BodyTooLarge with what had come."""
        parts = []
        size = 0
        while data := await self.next_chunk():
            parts.append(data)
            size += len(data)
            if limit is not None and size > limit:
                self.abort()
                raise BodyTooLarge(self.address, limit, b"".join(parts))
        return b"".join(parts)

    def raise_failure(self) -> None:
        """Raises what ended the exchange, if something did."""
        if isinstance(self.failure, UpstreamFailure):
            raise self.failure.again()
        if self.failure is not None:
            raise self.failure

    def abort(self) -> None:
        """Closes the connection at once, unless the exchange is over. A reader that waits gets Broken."""
        if self._connection is not None:
            self._connection.abort("was cut off by this side before its answer was complete.")

    async def _arrival(self) -> None:
        """Returns when there is something new; raises what ended the exchange."""
        self.raise_failure()
        if self._connection is None:
            raise AssertionError("an exchange that is over is complete or has failed")
        if self._waiter is not None:
            raise RuntimeError("the answer is being read by another task")
        waiter = self._waiter = self._connection.loop.create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    # What follows is for the connection, which fills this in.

    def add(self, data: bytes) -> int:
        """Takes a piece of the body; returns how much is unread now."""
        self._chunks.append(data)
        self.unread += len(data)
        return self.unread

    def end(self, failure: BaseException | None) -> None:
        """The connection is no longer ours; without a failure, all of the body is here."""
        self._connection = None
        self.failure = failure
        if failure is None:
            self.is_complete = True
        self.wake()

    def wake(self) -> None:
        """Lets the reader look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
