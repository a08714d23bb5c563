"""Which process a recorded pid meant: pids are used again, by another process or after a reboot.

A process that is recorded, and found again later, is known by its pid, its start time and the boot it was started in,
and signalled through a pidfd.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_ENDED = frozenset("ZX")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for all time: `start_time` is in clock ticks since the boot named by `boot_id`."""

    pid: int
    start_time: int
    boot_id: str

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return identify(self.pid) == self

    def began(self) -> float:
        """When it began, in seconds since the epoch."""
        uptime = float((_PROC / "uptime").read_text().split()[0])
        return time.time() - uptime + self.start_time / os.sysconf("SC_CLK_TCK")

    def open_pidfd(self) -> int | None:
        """A pidfd of it, None if it is gone (a zombie is not yet). The caller closes it."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Compared after opening: from then on the pid cannot become another process's unnoticed.
        found = _look(self.pid)
        if found is not None and found[0] == self:
            return descriptor
        os.close(descriptor)
        return None

    def signal(self, number: int) -> None:
        """Sends the signal unless the process has ended."""
        if (descriptor := self.open_pidfd()) is None:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

    def signal_group(self, number: int) -> None:
        """Sends the signal to what is left of the group it leads, the process itself included."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a running process, or None when there is none (or only a zombie)."""
    found = _look(pid)
    return None if found is None or found[1] in _ENDED else found[0]


def identify_child(pid: int) -> ProcessIdentity:
    """The identity of a child of ours that nobody has reaped. It may have ended by now."""
    found = _look(pid)
    return found[0] if found is not None else ProcessIdentity(pid, 0, "")


def command_of(pid: int) -> str:
    """The command line of a process, as far as this user may see it."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _look(pid: int) -> tuple[ProcessIdentity, str] | None:
    """Who has this pid, and its state as the kernel writes it; None for nobody whom we may see."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field is the name in brackets, which may hold spaces and brackets. The state is the third, the start
    # time the 22nd.
    state, *fields = text.rpartition(")")[2].split()
    return ProcessIdentity(pid, int(fields[18]), boot_id), state
