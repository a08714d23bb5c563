"""SIGTERM and SIGINT to a program that drains: the first begins it, a later one ends its waiting."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

_ONE_REQUEST = 1.0
"""Seconds. A user who stops a program may well signal its parent and all of its group: that is one request."""


def on_stop(begin: Callable[[], None], hurry: Callable[[], None]) -> None:
    """Has the running loop call `begin` at the first signal, and `hurry` at each that comes a second or more later."""
    loop = asyncio.get_running_loop()
    first: list[float] = []

    def received() -> None:
        if not first:
            first.append(loop.time())
            begin()
        elif loop.time() >= first[0] + _ONE_REQUEST:
            hurry()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
