"""Python data as JSON, the way Flask writes it: sorted, without blanks, dates as in headers, a line end behind it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def to_json(data: Any) -> bytes:
    """Raises TypeError, ValueError for what has no form in JSON."""
    try:
        text = _sorted(data)
    except TypeError:
        # Keys of several types have no order.
        text = _unsorted(data)
    return f"{text}\n".encode()


def _default(value: Any) -> Any:
    """What the standard library's encoder does not know."""
    if _is_a(value, "datetime", "date"):
        return _http_date(value)
    if _is_a(value, "decimal", "Decimal") or _is_a(value, "uuid", "UUID"):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "__html__"):
        return str(value.__html__())
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _is_a(value: Any, module: str, name: str) -> bool:
    """Without an import: where there is such a value its module is loaded, and no other process should carry it."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name, ()))


def _http_date(value: Any) -> str:
    """A date, or a time, which is UTC unless it says otherwise. Not strftime: its names follow the locale."""
    if _is_a(value, "datetime", "datetime") and value.tzinfo is not None:
        value = value.astimezone(sys.modules["datetime"].timezone.utc)
    clock = f"{getattr(value, 'hour', 0):02}:{getattr(value, 'minute', 0):02}:{getattr(value, 'second', 0):02}"
    day, month = _DAYS[value.weekday()], _MONTHS[value.month - 1]
    return f"{day}, {value.day:02} {month} {value.year:04} {clock} GMT"


_sorted = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=_default).encode
_unsorted = json.JSONEncoder(separators=(",", ":"), default=_default).encode
