"""How many files and connections a process may have open."""

from __future__ import annotations

import contextlib
import resource

MOST = 65_536


def allow_many_descriptors() -> int:
    """Raises the soft limit, which shells leave at 1,024, as far as it goes up to MOST; returns what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return MOST if soft == resource.RLIM_INFINITY else soft
