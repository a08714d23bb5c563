"""Reading a function's answer into memory: no more of it than is kept, and large ones under a budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmfn.jobs.layout import INLINE_LIMIT
from swarmfn.upstream import BodyTooLarge, Response

Bytes = bytes | memoryview
"""A body: the latter spares a large one another copy."""


async def read_answer(
    response: Response, limit: int, kept: int | None, grow: Callable[[int], Awaitable[None]]
) -> tuple[Bytes, int]:
    """The first `kept` bytes of a body (None: all), and the size of the whole. Raises BodyTooLarge above `limit` bytes.

    `grow` is awaited for memory that is taken beyond a small answer's; meanwhile the function has to wait. To abort the
    response, whatever is raised, is the caller's.
    """
    body, size, counted = bytearray(), 0, 0
    while data := await response.next_chunk():
        size += len(data)
        if size > limit:
            raise BodyTooLarge(response.address, limit, b"")
        body += data if kept is None else data[: max(0, kept - len(body))]
        if len(body) > max(counted, INLINE_LIMIT):
            await grow(len(body) - counted)
            counted = len(body)
    return _compact(body), size


def beginning(body: Bytes, size: int) -> Bytes:
    """The first `size` bytes of a body."""
    return _compact(body[:size]) if len(body) > size else body


def _compact(body: bytearray | Bytes) -> Bytes:
    """Small bodies are bytes in any case: they go into scripts' arguments."""
    return bytes(body) if len(body) <= INLINE_LIMIT else memoryview(body)
