"""Work that has to go on as long as the program: a failure is said, and the work begun anew."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)

_FIRST, _LONGEST = 1.0, 30.0
_WELL_AFTER = 60.0


async def lasting(name: str, work: Callable[[], Coroutine[Any, Any, None]], first_pause: float = _FIRST) -> None:
    """Runs `work()` until cancelled, again and again should it fail or return; `name` is what the log calls it.

    Pauses double from `first_pause` to 30 seconds. After a minute without a failure they begin anew.
    """
    pause = first_pause
    while True:
        began = time.monotonic()
        failure: Exception | None = None
        try:
            await work()
        except Exception as exc:  # whatever it is, the program needs this work
            failure = exc
        if time.monotonic() - began > _WELL_AFTER:
            pause = first_pause
        logger.error(
            "%s ended (%s); it begins anew in %g s",
            name,
            "by itself" if failure is None else f"{type(failure).__name__}: {failure}",
            pause,
            exc_info=failure,
            extra={"event": "work_failed", "work": name},
        )
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST)
