"""Ending asyncio tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_AFTER = 0.1


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels `tasks` and returns when all have ended; what they raised is dropped.

    Cancels again until they obey: redis-py loses a cancellation that arrives while it sets up a connection.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=_AGAIN_AFTER)
        for task in ended:
            if not task.cancelled():
                task.exception()  # read, so that nobody complains that it was not
