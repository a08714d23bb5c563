"""What a request's conditions and ranges ask for, decided with values (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from fwatchdog.http.messages import Request, http_date

_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    r" (\d\d):(\d\d):(\d\d) GMT"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Version:
    """Which state of a file this is."""

    size: int
    modified_ns: int

    @property
    def etag(self) -> str:
        return f'"{self.modified_ns:x}-{self.size:x}"'

    @property
    def modified(self) -> int:
        """In whole seconds, as headers have it."""
        return self.modified_ns // 1_000_000_000

    @property
    def last_modified(self) -> str:
        return http_date(self.modified)


class Unsatisfiable(Exception):
    """The range asked for lies beyond the end."""


def is_unchanged(request: Request, version: Version) -> bool:
    """Whether the caller's copy is still good: 304. An If-None-Match overrules If-Modified-Since."""
    known = request.header("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return "*" in tags or version.etag in tags
    since = _seconds(request.header("if-modified-since"))
    return since is not None and version.modified <= since


def wanted_range(request: Request, version: Version) -> tuple[int, int] | None:
    """First and last byte asked for; None for the whole file, also where a range is malformed, outdated by If-Range,
    or one of several. Raises Unsatisfiable."""
    text = request.header("range")
    match = _RANGE.fullmatch(text) if text is not None and request.method == "GET" else None
    if match is None or not _still_applies(request, version):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, version.size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= version.size:
        raise Unsatisfiable
    return start, min(int(last), version.size - 1) if last else version.size - 1


def _suffix(length: str, size: int) -> tuple[int, int] | None:
    """The last `length` bytes."""
    if not length:
        return None
    if int(length) == 0 or size == 0:
        raise Unsatisfiable
    return max(0, size - int(length)), size - 1


def _still_applies(request: Request, version: Version) -> bool:
    condition = request.header("if-range")
    if condition is None:
        return True
    return condition == version.etag if condition.startswith('"') else _seconds(condition) == version.modified


def _seconds(date: str | None) -> int | None:
    """The time in an HTTP date; None for text that is not one."""
    match = _DATE.fullmatch(date) if date is not None else None
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    try:
        moment = datetime.datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=datetime.UTC
        )
    except ValueError:
        return None
    return int(moment.timestamp())
