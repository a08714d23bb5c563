"""Connecting to one of several addresses of a host, as RFC 8305 ("Happy Eyeballs") says: an address that does not
answer holds up the next one for a moment only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeVar

_DELAY = 0.25
"""Seconds until the next address is tried beside those that have not answered (section 5)."""

Place = TypeVar("Place")
Made = TypeVar("Made")


def interleaved(addresses: Iterable[str]) -> list[str]:
    """IPv6 and IPv4 addresses in turns, each kind in its order, the first one first (section 4)."""
    kinds: dict[bool, list[str]] = {}
    for address in addresses:
        kinds.setdefault(":" in address, []).append(address)
    turns = chain.from_iterable(zip_longest(*kinds.values()))
    return [address for address in turns if address is not None]


async def first_of(
    places: Sequence[Place],
    connect: Callable[[Place], Coroutine[Any, Any, Made]],
    discard: Callable[[Made], None],
    delay: float = _DELAY,
) -> Made:
    """What `connect` makes of the first of `places` that takes it; anything further that it has made by then goes to
    `discard`. Raises the last OSError when all have failed, and anything else at once."""
    if len(places) == 1:
        return await connect(places[0])
    left = list(places)
    failure = OSError("it has no address")
    running: set[asyncio.Task[Made]] = set()
    try:
        while left or running:
            if left:
                running.add(asyncio.create_task(connect(left.pop(0))))
            done, _ = await asyncio.wait(running, timeout=delay if left else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                try:
                    return task.result()
                except OSError as exc:
                    failure = exc
        raise failure
    finally:
        for task in running:
            _end(task, discard)


def _end(task: asyncio.Task[Made], discard: Callable[[Made], None]) -> None:
    def ended(task: asyncio.Task[Made]) -> None:
        if not task.cancelled() and task.exception() is None:
            discard(task.result())

    task.add_done_callback(ended)
    task.cancel()
