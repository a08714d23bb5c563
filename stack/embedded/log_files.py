"""Log files: kept from growing without end, and their last lines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

LARGEST = 32 * 2**20
_PIECE = 64 * 1024


def trim_logs(directory: Path, largest: int = LARGEST) -> None:
    """Moves the content of each log over `largest` bytes to `NAME.log.1`, replacing an earlier one.

    The file itself is emptied, not moved: programs have it open, and they append, so their next line is its first one.
    A line written in between the two steps is lost.
    """
    for path in directory.glob("*.log"):
        try:
            if path.stat().st_size > largest:
                shutil.copyfile(path, path.with_name(path.name + ".1"))
                with path.open("r+b") as file:
                    file.truncate()
        except OSError:
            continue


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of the file, at most as much of it as a log can hold; none when there is no file."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as file:
            return _end(file, count).decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def _end(file: BinaryIO, count: int) -> bytes:
    """The end of the file, with `count` whole lines in it if it has that many."""
    pieces: list[bytes] = []
    start = file.seek(0, 2)
    # One more: the first of them may have begun earlier.
    ends, size = 0, 0
    while start > 0 and ends <= count and size < LARGEST:
        length = min(start, _PIECE)
        start -= length
        file.seek(start)
        pieces.append(file.read(length))
        ends += pieces[-1].count(b"\n")
        size += length
    return b"".join(reversed(pieces))
