"""From a thread of the Flask front end to the event loop the core runs on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

_LOOK_EVERY = 0.25
"""Seconds between two looks whether the client is still there."""


class CallerGone(ConnectionError):
    """The client left; what was done for it has been cancelled."""


class Bridge:
    """Runs coroutines of the core on `loop` for threads that wait for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(
        self,
        coroutine: Coroutine[Any, Any, Result],
        is_gone: Callable[[], bool],
        discard: Callable[[Result], None] | None = None,
    ) -> Result:
        """The coroutine's result.

        When `is_gone()` turns true the coroutine is cancelled and CallerGone raised; a result that it had by then goes
        to `discard`, on the loop.
        """
        run = _Run(self._loop, coroutine)
        while not run.has_ended_within(_LOOK_EVERY):
            if is_gone():
                run.abandon(discard)
                raise CallerGone
        return run.result()

    def iterate(self, chunks: AsyncIterator[bytes], is_gone: Callable[[], bool]) -> Iterator[bytes]:
        """What an async iterator yields, one hop to the loop for each chunk."""

        async def following() -> bytes | None:
            return await anext(chunks, None)

        while (chunk := self.run(following(), is_gone)) is not None:
            yield chunk

    def do(self, action: Callable[[], None]) -> None:
        """Runs `action` on the loop; does not wait for it."""
        self._loop.call_soon_threadsafe(action)


class _Run(Generic[Result]):
    """One coroutine on the loop, for a thread that waits for its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Result]) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[Result]
        # Released on the loop: the cheapest thing a thread can wait for.
        self._running = threading.Lock()
        self._running.acquire()
        loop.call_soon_threadsafe(self._start)

    def has_ended_within(self, seconds: float) -> bool:
        return self._running.acquire(timeout=seconds)

    def result(self) -> Result:
        """After the end. Raises what the coroutine raised, CallerGone if it was cancelled."""
        if self._task.cancelled():
            raise CallerGone
        return self._task.result()

    def abandon(self, discard: Callable[[Result], None] | None) -> None:
        """Nobody waits any more."""

        def end() -> None:
            # Decided on the loop: in between, the coroutine may have got its result.
            if not self._task.cancel() and discard is not None and self._has_result():
                discard(self._task.result())

        self._loop.call_soon_threadsafe(end)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[Result]) -> None:
        if not task.cancelled():
            task.exception()  # asked for, so asyncio does not report it as forgotten where nobody waits any more
        self._running.release()

    def _has_result(self) -> bool:
        return not self._task.cancelled() and self._task.exception() is None
