"""One command at a time on a state directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.errors import StackError

PATIENCE = 300.0


@contextmanager
def exclusive(path: Path, what: str, say: Callable[[str], None], patience: float = PATIENCE) -> Iterator[None]:
    """Holds the lock file; waits up to `patience` seconds for another holder, and says for whom.

    `what` names this command, for those who wait. The lock ends with the process, however that ends.
    """
    descriptor = _acquire(path, say, time.monotonic() + patience)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{what} {os.getpid()}".encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _acquire(path: Path, say: Callable[[str], None], deadline: float) -> int:
    is_told = False
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError as exc:
            raise StackError(f"{path.parent} was removed meanwhile by another command. Run this one again.") from exc
        holder = _try_to_lock(descriptor, path)
        if holder is None:
            return descriptor
        os.close(descriptor)
        name, _, pid = holder.partition(" ")
        if time.monotonic() > deadline:
            raise StackError(f"another {name} is still running (pid {pid}). Try again when it has ended.")
        if not is_told:
            say(f"another {name} is running (pid {pid}); waiting for it")
            is_told = True
        time.sleep(0.1)


def _try_to_lock(descriptor: int, path: Path) -> str | None:
    """None when the lock is ours, else who has it, as `up 123`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 100, 0).decode(errors="replace") or "command"
    # A purge may have removed the file while we waited; a lock on a removed file keeps nobody out.
    if os.fstat(descriptor).st_nlink == 0:
        raise StackError(f"{path.parent} was removed meanwhile by another command. Run this one again.")
    return None
