"""Work beside the calls, which goes on until the gateway ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from swarmfn.background_work import failures_of, keep_running
from swarmfn.repeated_failures import RepeatedFailures

_TURNS, _TURN = 50, 0.1


class Background:
    """Work that runs until `stack` is undone. What it works with belongs into the stack before it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._failures: list[RepeatedFailures] = []

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Lets `work` run, and again when it fails; `name` is what the log and operators are told."""
        failures = failures_of(name)
        self._failures.append(failures)
        task = asyncio.create_task(keep_running(name, work, failures=failures), name=name)

        async def end() -> None:
            # A library may take a cancellation for the end of a connection, and go on: so it is repeated, for 5 s.
            for _ in range(_TURNS):
                task.cancel()
                if (await asyncio.wait([task], timeout=_TURN))[0]:
                    return

        self._stack.push_async_callback(end)

    def sentences(self) -> list[str]:
        """For an operator: what fails now."""
        return [sentence for failures in self._failures for sentence in failures.sentences]
