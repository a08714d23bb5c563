"""Durations as OpenFaaS writes them: whole seconds, or a Go duration such as `1m30s`."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(r"\d+")
MAX_SECONDS = 2**63 / 1e9
"""Go's `time.Duration` ends here, about 292 years."""


def parse_duration(text: str) -> float:
    """Seconds in `text`: `90`, `1.5s`, `1m30s`, `250ms` (the grammar of Go's time.ParseDuration, never negative).

    Raises ValueError with a message that quotes the text.
    """
    trimmed = text.strip()
    if _WHOLE.fullmatch(trimmed):
        return _bounded(float(trimmed), text)
    position, seconds = 0, 0.0
    while position < len(trimmed):
        part = _PART.match(trimmed, position)
        if part is None:
            break
        seconds += float(part.group(1)) * _UNITS[part.group(2)]
        position = part.end()
    if position == 0 or position != len(trimmed):
        raise ValueError(f'expected seconds or a duration such as "1m30s", got {text!r}')
    return _bounded(round(seconds, 9), text)


def _bounded(seconds: float, text: str) -> float:
    if seconds > MAX_SECONDS:
        raise ValueError(f"duration {text!r} is longer than 292 years")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest Go duration for `seconds`, to the millisecond: 90 → `1m30s`, 0.25 → `250ms`, 0 → `0s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = []
    if hours:
        parts.append(f"{hours}h")
    if minutes:
        parts.append(f"{minutes}m")
    if milliseconds:
        parts.append(f"{milliseconds / 1000:g}s")
    return "".join(parts)
