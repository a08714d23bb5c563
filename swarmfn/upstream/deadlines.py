"""A timer for one connection that costs a comparison per exchange instead of a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_SLACK = 0.001  # uvloop rounds to milliseconds and may fire that much early


class DeadlineTimer:
    """Calls `on_passed` when the present deadline passes, on the millisecond.

    Deadlines on a connection mostly move forward, a minute at a time. So the loop's timer is left running when an
    exchange ends, and is set again only when it fires too early, or would fire too late.
    """

    __slots__ = ("_handle", "_loop", "_on_passed", "_wakes_at", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_passed: Callable[[], None]) -> None:
        self._loop = loop
        self._on_passed: Callable[[], None] | None = on_passed
        self.deadline: float | None = None
        """The one that counts; set it to None when there is none any more."""
        self._handle: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def set(self, deadline: float) -> None:
        """From now on `deadline` counts, in loop time."""
        self.deadline = deadline
        if self._handle is None or deadline < self._wakes_at:
            self._wake_at(deadline)

    def cancel(self) -> None:
        """Ends it for good, and lets go of `on_passed`."""
        self.deadline = None
        self._on_passed = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake_at(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes_at = when
        self._handle = self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._handle = None
        deadline = self.deadline
        if deadline is None:
            return
        if deadline - self._loop.time() > _SLACK:
            self._wake_at(deadline)
            return
        self.deadline = None
        if self._on_passed is not None:
            self._on_passed()
