"""The watchdog's ends of the pipes to a child, on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_READ_SIZE = 256 * 1024


class PipeReader:
    """Hands what a child writes to `on_data`, piece by piece, and calls `on_end` once nobody can write any more."""

    def __init__(
        self, descriptor: int, on_data: Callable[[bytes], None], on_end: Callable[[], None] = lambda: None
    ) -> None:
        self._descriptor = descriptor
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._is_paused = False
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self.read)

    def read(self) -> None:
        """Takes what is there right now."""
        if not self._is_open:
            return
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._on_data(data)
        else:
            self.close()
            self._on_end()

    def pause(self) -> None:
        """Takes no more until `resume`; then the child has to wait once the pipe is full."""
        if self._is_open and not self._is_paused:
            self._is_paused = True
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        if self._is_open and self._is_paused:
            self._is_paused = False
            self._loop.add_reader(self._descriptor, self.read)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


class PipeWriter:
    """Writes to a child's standard input. A child that no longer reads is not an error: `is_open` says so."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self.is_open = True
        os.set_blocking(descriptor, False)

    def write_now(self, data: bytes | memoryview) -> int:
        """Bytes written without waiting; closes when the child has closed its end."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    async def write(self, data: bytes) -> None:
        """Writes all of `data`, or less if the child stops reading for good."""
        rest = memoryview(data)
        while rest and self.is_open:
            written = self.write_now(rest)
            rest = rest[written:]
            if rest and self.is_open:
                await self._writable()

    async def _writable(self) -> None:
        self._waiter = self._loop.create_future()
        self._loop.add_writer(self._descriptor, self._wake)
        try:
            await self._waiter
        finally:
            if self.is_open:
                self._loop.remove_writer(self._descriptor)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._wake()
