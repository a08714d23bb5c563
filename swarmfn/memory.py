"""How much memory this process may take, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 1 << 30
"""Bytes, where nothing can be read."""


def memory_for_us(root: Path = Path("/")) -> int:
    """Bytes: the lowest limit of our cgroup and those around it; without one, what the machine has available now."""
    available = _available(root)
    return min([available, *_cgroup_limits(root)])


def _cgroup_limits(root: Path) -> list[int]:
    limits = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _upwards(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _upwards(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return limits


def _upwards(mount: Path, path: str, name: str) -> list[int]:
    """Limits from `path` up to the mount, which is all there is where the path is one of the host's."""
    place = mount / path.strip("/")
    texts = [_text(folder / name).strip() for folder in (place, *place.parents) if folder.is_relative_to(mount)]
    return [int(text) for text in texts if text.isdigit()]  # the other word is `max`


def _available(root: Path) -> int:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _UNKNOWN


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
