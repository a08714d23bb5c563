"""Which server wrote the data in the embedded Redis's directory. The note about it lies beside the data."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from stack.queue_server import REDIS, VALKEY, QueueServer
from swarmfn.private_files import write_private

_NOTE = "written-by.json"
_FIRST_FIELD = re.compile(rb"^(?:REDIS\d{4}|VALKEY\d{3})\xfa.(redis|valkey)-ver(.)", re.DOTALL)
_NAMES = {b"redis": REDIS, b"valkey": VALKEY}
_ENOUGH = 64


def has_data(directory: Path) -> bool:
    """Whether a server has begun to write there."""
    return any(directory.glob("appendonlydir/*")) or (directory / "dump.rdb").exists()


def writer_of(directory: Path) -> QueueServer | None:
    """The last server that was started there, as noted, else as the data says itself; None when neither tells."""
    if not has_data(directory):
        return None
    return _noted(directory) or _as_the_data_says(directory)


def note_writer(directory: Path, server: QueueServer) -> None:
    """Before it starts: from then on there may be something that only it can read."""
    if _noted(directory) != server:
        write_private(directory / _NOTE, json.dumps(asdict(server)) + "\n")


def _noted(directory: Path) -> QueueServer | None:
    try:
        return QueueServer(**json.loads((directory / _NOTE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _as_the_data_says(directory: Path) -> QueueServer | None:
    """A snapshot begins with its format and its writer's version. An append-only file begins with a snapshot."""
    snapshots = [*directory.glob("appendonlydir/*.base.rdb"), *directory.glob("dump.rdb")]
    found = [server for server in map(_writer_of_snapshot, snapshots) if server]
    return max(found, key=lambda server: (server.format, server.release), default=None)


def _writer_of_snapshot(path: Path) -> QueueServer | None:
    try:
        with path.open("rb") as file:
            head = file.read(_ENOUGH)
    except OSError:
        # A running server has just replaced it by a newer one.
        return None
    field = _FIRST_FIELD.match(head)
    if field is None:
        return None
    version = head[field.end() : field.end() + field[2][0]]
    return QueueServer(_NAMES[field[1]], version.decode("ascii", "replace"))
