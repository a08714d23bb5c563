"""How much memory there is, and how much of it this process may take, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 1 << 30
"""Bytes, where nothing can be read."""


def memory_for_us(root: Path = Path("/")) -> int:
    """Bytes: the lowest limit of our cgroup and those around it; without one, what the machine has available now."""
    return min([meminfo("MemAvailable", root) or _UNKNOWN, *cgroup_limits(root)])


def cgroup_limits(root: Path = Path("/")) -> list[int]:
    """Bytes: the limits of our cgroup and of all around it, in either version of cgroups. `root` is where /proc and
    /sys are."""
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


def meminfo(name: str, root: Path = Path("/")) -> int:
    """Bytes, of a line of /proc/meminfo such as `MemTotal`; 0 where there is no such line."""
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
