"""Waiting on a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

Value = TypeVar("Value")

_OFTEN = 0.02
_SELDOM = 0.25


def wait_until(
    condition: Callable[[], Value | Literal[False] | None],
    timeout: float = 60.0,
    message: str = "",
    every: float | None = None,
) -> Value:
    """The first true value of `condition()`.

    An AssertionError or OSError raised by the condition counts as "not yet" and is shown when the time is up.
    Fails the test after `timeout` seconds, which says how long the test may hang, not how fast the code must be.
    Asked `every` that many seconds; by default the rarer the longer it takes, since a look may be expensive.
    """
    began = time.monotonic()
    deadline = began + timeout
    while True:
        last: object
        try:
            last = value = condition()
            if value:
                return value
        except (AssertionError, OSError) as exc:
            last = exc
        now = time.monotonic()
        if now >= deadline:
            what = message or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"waited {timeout:g} s without success: {what} (last: {last!r})")
        time.sleep(min(max(_OFTEN, (now - began) / 10), _SELDOM) if every is None else every)
