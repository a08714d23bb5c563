"""What the kernel lets a replica and all it starts take, each process for itself."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ResourceLimits:
    """0 leaves a limit as this process has it. processes: with threads, of the whole user; root is held to none; files:
    open at a time; address_space: bytes, which some runtimes reserve far more of than they use."""

    processes: int = 0
    files: int = 16384
    address_space: int = 0

    def impose_on(self, pid: int) -> None:
        """Holds the process, and what it starts from now on, to the limits. None is raised above what it has."""
        for kind, wanted in self._wanted():
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, kind)
                most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                resource.prlimit(pid, kind, (most, most))

    def _wanted(self) -> Iterator[tuple[int, int]]:
        kinds = (
            (resource.RLIMIT_NPROC, self.processes),
            (resource.RLIMIT_NOFILE, self.files),
            (resource.RLIMIT_AS, self.address_space),
        )
        return ((kind, wanted) for kind, wanted in kinds if wanted)


DEFAULTS = ResourceLimits()
