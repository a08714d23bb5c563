"""Where `async def` handlers run: one event loop for all calls, so that clients which a handler keeps stay usable."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_END = object()


class Coroutines:
    """Runs coroutines to their end. The loop starts with the first one; handlers without any carry no asyncio.

    With `has_threads` calls of several threads share the loop, which then has a thread of its own.
    """

    def __init__(self, has_threads: bool) -> None:
        self._has_threads = has_threads
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine's result; raises what it raises."""
        import asyncio

        with self._lock:
            if self._runner is None:
                self._runner = asyncio.Runner()
            loop = self._runner.get_loop()
            if self._has_threads and self._thread is None:
                self._thread = threading.Thread(target=loop.run_forever, name="async handlers", daemon=True)
                self._thread.start()
        if self._has_threads:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
        # In the caller's context, not the one in which the loop began.
        return self._runner.run(coroutine, context=contextvars.copy_context())

    def iterate(self, generator: AsyncGenerator[Any, Any]) -> Iterator[Any]:
        """The pieces of an async generator, each awaited when it is asked for."""

        async def following() -> Any:
            return await anext(generator, _END)

        try:
            while (piece := self.run(following())) is not _END:
                yield piece
        finally:
            self.run(generator.aclose())

    def close(self) -> None:
        """Ends the loop and what still runs on it."""
        if self._runner is None:
            return
        if self._thread is not None:
            self._runner.get_loop().call_soon_threadsafe(self._runner.get_loop().stop)
            self._thread.join()
        self._runner.close()
