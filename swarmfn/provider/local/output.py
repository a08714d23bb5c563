"""What replicas write: one bounded log file for each number a replica can have, and one for installing requirements."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from swarmfn.provider.local.state_dir import StateDir
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.logs import sentence_of

logger = logging.getLogger(__name__)

MAX_TAIL = 64 * 1024
_LINE_LIMIT = 300
_LAST_LINES = 8 * 1024


class Output:
    """`logs/functions/NAME.N.log`, and `NAME.requirements.log`.

    A file that grows beyond `max_size` is moved to `….log.1`, in place of an earlier one.
    """

    def __init__(self, state: StateDir, max_size: int = 4 * 2**20) -> None:
        self._folder = state.logs
        self._max_size = max_size
        self.shortening = RepeatedFailures(logger, "shortening the logs of functions", "log_rotation_failed")

    def of_replica(self, name: str, number: int) -> Path:
        return self._folder / f"{name}.{number}.log"

    def of_requirements(self, name: str) -> Path:
        return self._folder / f"{name}.requirements.log"

    def tail(self, name: str) -> str:
        """The last output of all replicas, at most MAX_TAIL bytes, the file written to last at the end."""
        parts: list[bytes] = []
        room = MAX_TAIL
        for path in reversed(self._files(name)):
            if room > 0:
                parts.append(_end_of(path, room))
                room -= len(parts[-1])
        return b"".join(reversed(parts)).decode(errors="replace")

    def rotate(self) -> None:
        """Shortens files that have grown too long."""
        failure: OSError | None = None
        try:
            paths = list(self._folder.glob("*.log"))
        except OSError as exc:
            paths, failure = [], exc
        for path in paths:
            try:
                if path.stat().st_size > self._max_size:
                    # Copied and cut, not renamed: the replica holds the file open, and appends to what is left.
                    # Lines that it writes between the two are lost.
                    shutil.copyfile(path, path.with_name(path.name + ".1"))
                    os.truncate(path, 0)
            except OSError as exc:
                failure = exc
        if failure is None:
            self.shortening.over()
        else:
            self.shortening.note(failure, is_foreseen=True)

    def delete(self, name: str) -> None:
        for path in self._files(name):
            path.unlink(missing_ok=True)

    def _files(self, name: str) -> list[Path]:
        """The function's files, the one written to last at the end."""
        found = []
        # No name holds a dot, so that the pattern of `a` cannot match a file of `a.b`.
        for path in self._folder.glob(f"{name}.*.log*"):
            try:
                # Times are coarse: of two equal ones, the part that was cut off is older.
                found.append((path.stat().st_mtime_ns, path.suffix != ".1", path))
            except FileNotFoundError:
                continue
        return [path for _, _, path in sorted(found)]


def last_line(log: Path, offset: int = 0) -> str:
    """What the last line with text in `log` after `offset` says, shortened; "" if there is none."""
    try:
        size = log.stat().st_size
        start = offset if offset <= size else 0
        with log.open("rb") as file:
            file.seek(max(start, size - _LAST_LINES))
            text = file.read(_LAST_LINES).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return sentence_of(lines[-1])[:_LINE_LIMIT] if lines else ""


def _end_of(path: Path, length: int) -> bytes:
    """The last whole lines of a file, at most `length` bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - length))
            content = file.read(length)
    except FileNotFoundError:
        return b""
    if size <= length:
        return content
    return content[content.find(b"\n") + 1 :]
