"""Servers that the queue can run on, by what they call themselves, and which of them reads another's data."""

from __future__ import annotations

import re
from dataclasses import dataclass

REDIS = "Redis"
VALKEY = "Valkey"

_COMMON_FORMAT = 11
"""Up to here the formats are Redis's own, as they were when Valkey began; what both have made of them since then, the
other one refuses."""

_FORMATS = {
    REDIS: (((7, 0), 10), ((7, 2), 11), ((7, 4), 12)),
    VALKEY: (((7, 2), 11), ((9, 0), 80)),
}
"""The format (RDB version) that each writes, and reads at most, from a version on. Later ones only grow."""

_VERSION_LINE = re.compile(r"^(Redis|Valkey) server v=(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class QueueServer:
    """A program's name and version, such as Redis 7.0.15."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version; releases of one of them read each other's data. (0, 0) when it does not tell."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)

    @property
    def format(self) -> int:
        """The RDB version that it writes at least; 0 for a server that is not known."""
        return max((number for since, number in _FORMATS.get(self.name, ()) if self.release >= since), default=0)


def server_of(shown: str) -> QueueServer | None:
    """The server that answers `--version` so; None for another program, or none that tells."""
    found = _VERSION_LINE.search(shown)
    return QueueServer(found[1], found[2]) if found else None


def can_read(reader: QueueServer, writer: QueueServer) -> bool:
    """Whether `reader` starts with the data that `writer` has left. False where it is not known to."""
    if reader.name == writer.name:
        return reader.release >= writer.release
    return 0 < writer.format <= _COMMON_FORMAT and writer.format <= reader.format
