"""Log files: kept from growing without end, and their last lines."""

from __future__ import annotations

import shutil
from pathlib import Path

LARGEST = 32 * 2**20


def trim_logs(directory: Path, largest: int = LARGEST) -> None:
    """Moves the content of each log over `largest` bytes to `NAME.log.1`, replacing an earlier one.

    The file itself is emptied, not moved: programs have it open, and they append, so their next line begins it anew.
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
    """The last lines of the file, at most 64 KiB of them; none when there is no file."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
