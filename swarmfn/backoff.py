"""Backoff: how long to wait before something that failed is tried again. Whatever fails in a row is tried more and more
rarely: a function, a delivery, a process that has to run, a connection."""

from __future__ import annotations

_MOST_DOUBLINGS = 100
"""More would leave the range of floats after hours of failures."""


def backoff(failures: int, shortest: float, longest: float) -> float:
    """Seconds to wait after this many failures in a row (at least 1): `shortest`, then twice as long each time, up to
    `longest`."""
    return min(longest, shortest * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def failures_in_a_row(before: int, lasted: float, well_after: float) -> int:
    """The count after one more failure of something that ran for `lasted` seconds: it starts again at 1 once it has run
    for `well_after`."""
    return 1 if lasted >= well_after else before + 1
