"""Which process a recorded pid meant: pids are used again, by another process or after a reboot."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A pid together with when its process began. No two processes of a machine have the same."""

    pid: int
    start_time: int
    boot_id: str

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return identify(self.pid) == self

    def began(self) -> float:
        """When it began, in seconds since the epoch."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - uptime + self.start_time / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        """Sends the signal unless the process has ended."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def signal_group(self, number: int) -> None:
        """Sends the signal to what is left of the group it leads, the process itself included."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a running process, or None when there is none (or only a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, start_time = fields[0], int(fields[19])
    return None if state in "ZX" else ProcessIdentity(pid, start_time, boot_id)


def command_of(pid: int) -> str:
    """The command line of a process, as far as this user may see it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
