"""How much memory the embedded Redis may take."""

from __future__ import annotations

from pathlib import Path

from swarmfn.memory import cgroup_limits, meminfo

AUTO = "auto"
LEAST = 64 * 2**20
_SHARE = 4
_STEP = 16 * 2**20


def default_maxmemory(root: Path = Path("/")) -> int:
    """A quarter of what this machine, or the cgroup we are in, has: the rest is for gateway, worker and functions, and
    for the copy of its memory that Redis needs while it rewrites its file. `root` is where /proc and /sys are."""
    share = min([meminfo("MemTotal", root), *cgroup_limits(root)]) // _SHARE
    # In steps, so that a machine that comes up with a little less or more changes nothing.
    return max(share // _STEP * _STEP, LEAST)
