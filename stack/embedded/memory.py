"""How much memory the embedded Redis may take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

AUTO = "auto"
LEAST = 64 * 2**20
_SHARE = 4
_STEP = 16 * 2**20


def default_maxmemory(root: Path = Path("/")) -> int:
    """A quarter of what this machine, or the cgroup we are in, has: the rest is for gateway, worker and functions, and
    for the copy of its memory that Redis needs while it rewrites its file. `root` is where /proc and /sys are."""
    share = min([_total(root), *_limits(root)]) // _SHARE
    # In steps, so that a machine that comes up with a little less or more changes nothing.
    return max(share // _STEP * _STEP, LEAST)


def _total(root: Path) -> int:
    found = re.search(r"^MemTotal: *(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else LEAST * _SHARE


def _limits(root: Path) -> Iterator[int]:
    """Those of our cgroup and of all around it, in either version of cgroups."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for folder in (group, *group.parents):
            text = _text(top / folder / name).strip()
            if text.isdigit():
                yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
