"""From a thread of the Flask front end to the event loop the core runs on."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")

_LOOK_EVERY = 0.25
"""Seconds between two looks whether the client is still there."""


class CallerGone(Exception):
    """The client left; what was done for it has been cancelled."""


class Bridge:
    """Runs coroutines of the core on `loop` for threads that wait for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, coroutine: Coroutine[Any, Any, Result], is_gone: Callable[[], bool]) -> Result:
        """The coroutine's result. When `is_gone()` turns true it is cancelled, and CallerGone raised."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        while True:
            try:
                return future.result(timeout=_LOOK_EVERY)
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise  # the coroutine's own TimeoutError
                if is_gone():
                    future.cancel()
                    raise CallerGone from None

    def iterate(self, chunks: AsyncIterator[bytes], is_gone: Callable[[], bool]) -> Iterator[bytes]:
        """What an async iterator yields, one hop to the loop for each chunk."""

        async def following() -> bytes | None:
            return await anext(chunks, None)

        while (chunk := self.run(following(), is_gone)) is not None:
            yield chunk

    def do(self, action: Callable[[], None]) -> None:
        """Runs `action` on the loop; does not wait for it."""
        self._loop.call_soon_threadsafe(action)
