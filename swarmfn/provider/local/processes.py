"""Operating-system processes: started apart from ours, marked, signalled and reaped.

Each replica, and so every process it starts, carries `swarmfn_replica` in its environment, by which ours are found even
if nothing was written down about them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from swarmfn.process_identity import ProcessIdentity, identify_child
from swarmfn.provider.local.resource_limits import DEFAULTS, ResourceLimits

MARKER = "swarmfn_replica"
_PROC = Path("/proc")
_KILL_ROUNDS = 5


@dataclass(frozen=True)
class Mark:
    """Whose process it is: the state directory's `owner`, the function and the id of the replica."""

    owner: str
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.owner}:{self.name}:{self.id}"


def start(
    argv: list[str],
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    descriptor: int,
    limits: ResourceLimits = DEFAULTS,
) -> tuple[ProcessIdentity, int]:
    """Starts `argv` in a session of its own, with `descriptor` passed on under the same number; also its pidfd.

    It is held to `limits`. Its output is appended to `log`. It is not stopped by our end. Raises OSError.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    # It can have started nothing yet: an interpreter takes longer than this to begin.
    limits.impose_on(process.pid)
    # Popen is not to look after it: it may outlive us, and `exit_status` reaps it.
    process.returncode = 0
    # Even if it has ended by now, it stays in the process table until it is reaped.
    return identify_child(process.pid), os.pidfd_open(process.pid)


def send_signal(pidfd: int, number: signal.Signals) -> None:
    """Signals the process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def exit_status(pid: int) -> int | None:
    """Reaps `pid`, which has ended: its exit status, negative for a signal; None if it was not our child."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if reaped else None


def describe_exit(status: int | None) -> str:
    if status is None:
        return "ended"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def marked() -> Iterator[tuple[int, Mark]]:
    """Every process of this user that carries a mark, with its pid."""
    for entry in os.scandir(_PROC):
        if entry.name.isdigit() and (mark := _mark(int(entry.name))) is not None:
            yield int(entry.name), mark


def kill_marked(is_unwanted: Callable[[Mark], bool]) -> None:
    """Kills every marked process for which `is_unwanted` holds.

    Reaches also what left its process group, as commands that a watchdog forks do, and what they start meanwhile.
    """
    for _ in range(_KILL_ROUNDS):
        if not _kill_once(is_unwanted):
            return


def _kill_once(is_unwanted: Callable[[Mark], bool]) -> int:
    killed = 0
    for pid, mark in list(marked()):
        if not is_unwanted(mark):
            continue
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            try:
                if _mark(pid) == mark:
                    send_signal(pidfd, signal.SIGKILL)
                    killed += 1
            finally:
                os.close(pidfd)
    return killed


def _mark(pid: int) -> Mark | None:
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = f"{MARKER}=".encode()
    for variable in variables:
        if variable.startswith(prefix):
            parts = os.fsdecode(variable.removeprefix(prefix)).rsplit(":", 2)
            return Mark(*parts) if len(parts) == 3 else None
    return None
