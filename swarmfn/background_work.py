"""Work that has to go on as long as the program: a failure is logged, and the work started again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from swarmfn.backoff import backoff, failures_in_a_row
from swarmfn.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)

_FIRST, _LONGEST = 1.0, 30.0
_WELL_AFTER = 60.0


def failures_of(name: str) -> RepeatedFailures:
    """What `keep_running` notes the failures of such work in."""
    return RepeatedFailures(logger, name, "work_failed")


class EndedByItself(Exception):
    """Work returned that was to go on."""

    def __str__(self) -> str:
        return "it ended by itself"


async def keep_running(
    name: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    first_pause: float = _FIRST,
    failures: RepeatedFailures | None = None,
) -> None:
    """Runs `work()` until cancelled, again and again should it fail or return; `name` is what the log calls it.

    Pauses double from `first_pause` to 30 seconds. After a minute without a failure they start again. `failures` is for
    reading how it is; the log has each that differs from the last.
    """
    failures = failures or failures_of(name)
    in_a_row = 0
    while True:
        began = time.monotonic()
        well = asyncio.get_running_loop().call_later(_WELL_AFTER, failures.over)
        try:
            await work()
            failure: Exception = EndedByItself()
        except Exception as exc:  # whatever it is, the program needs this work
            failure = exc
        finally:
            well.cancel()
        in_a_row = failures_in_a_row(in_a_row, time.monotonic() - began, _WELL_AFTER)
        pause = backoff(in_a_row, first_pause, _LONGEST)
        failures.note(failure, isinstance(failure, EndedByItself), f"it starts again in {pause:g} s")
        await asyncio.sleep(pause)
