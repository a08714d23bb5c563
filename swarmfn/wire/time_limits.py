"""Two programs bound the same run, often by the same seconds: how the second one to say so is understood."""

from __future__ import annotations

KILLED = "Killed process.\n"
"""What a watchdog answers when it has killed a run at its exec_timeout; clients look for it."""

_KILLED = KILLED.strip().encode()
_STATUSES = frozenset({408, 500})
_TOO_SLOW = frozenset({408, 504})
_CLOSE = 0.1


def says_killed(status: int, body: bytes | bytearray | memoryview | None) -> bool:
    """Whether an answer is a watchdog's word that it has killed the run (serializing mode says so with 500)."""
    return status in _STATUSES and body is not None and bytes(body[:32]).strip() == _KILLED


def is_about_over(seconds: float, limit: float) -> bool:
    """Whether what happened after `seconds` was the end of a `limit` that somebody else has counted as well. Their
    clock and ours begin a moment apart, and which one fires first is chance."""
    return seconds >= limit - min(_CLOSE, limit / 10)


def says_out_of_time(status: int, body: bytes | bytearray | memoryview | None, seconds: float, limit: float) -> bool:
    """Whether an answer that came after `seconds` means that a `limit` was over which its sender counts as well: then
    it is the same as none."""
    return is_about_over(seconds, limit) and (status in _TOO_SLOW or says_killed(status, body))
