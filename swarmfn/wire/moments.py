"""Moments as people write them in headers: RFC 3339, always with a zone."""

from __future__ import annotations

import re
from datetime import datetime

# RFC 3339 leaves it to applications to take a blank for the T, as many write it.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LEAP = "60"


def parse_moment(text: str) -> float:
    """Unix seconds. A leap second is the moment after it, as on clocks that stand still then. Raises ValueError."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a moment such as 2030-01-31T12:00:00Z, got {text!r}")
    day, minute, second, fraction, zone = found.groups(default="")
    if second == _LEAP:
        return _after_leap(f"{day}T{minute}59{zone.upper()}")
    return datetime.fromisoformat(f"{day}T{minute}{second}{fraction}{zone.upper()}").timestamp()


def _after_leap(second_before: str) -> float:
    seconds = datetime.fromisoformat(second_before).timestamp()
    if seconds % 86400 != 86399:
        raise ValueError("leap seconds are at the end of a day in UTC alone")
    return seconds + 1
