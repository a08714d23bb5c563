"""The folder that belongs to one local provider: what lies where, and who may use it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from swarmfn.wire.errors import EngineUnavailable

_LOCK_PATIENCE = 1.0
_LOCK_POLL = 0.02


class StateDir:
    """Paths under one state directory; `owner` names it, and no other, in the marks of processes.

    Creating one makes the folders that are missing; files and folders in it are for this user only.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.functions = self.root / "functions"
        self.records = self.root / "run" / "replicas"
        self.lock_file = self.root / "run" / "provider.lock"
        self.logs = self.root / "logs" / "functions"
        self.venvs = self.root / "cache" / "venvs"
        self.watchdog = self.root / "cache" / "watchdog"
        try:
            for folder in (self.functions, self.records, self.logs, self.venvs, self.watchdog):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise EngineUnavailable(f"cannot use the state directory {self.root}: {exc}.") from exc
        # With the inode, since the same path may be another folder to processes in a chroot.
        self.owner = f"{self.root}@{self.root.stat().st_dev:x}.{self.root.stat().st_ino:x}"

    def work_folder(self, name: str) -> Path:
        """Where a function without a folder of its own runs."""
        return self.functions / name / "work"

    def temporary_folder(self, name: str) -> Path:
        """A function's TMPDIR: its own, as it would be in a container, and shared by its replicas."""
        return self.functions / name / "tmp"


class Lock:
    """The right to run the functions of one state directory; it ends with `release` or with the process.

    A child that a killed owner was just about to start holds the lock until it has become the other program. So
    the new owner finds every process of earlier owners by its environment; and it is worth waiting a moment.
    Raises EngineUnavailable if another process keeps it.
    """

    def __init__(self, state: StateDir) -> None:
        self._descriptor = os.open(state.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_PATIENCE
        while not self._is_taken():
            if time.monotonic() >= deadline:
                holder = os.read(self._descriptor, 20).decode(errors="replace").strip() or "another process"
                os.close(self._descriptor)
                raise EngineUnavailable(
                    f"the functions in {state.root} are looked after by process {holder}.",
                    "Stop it first, or use another state directory.",
                )
            time.sleep(_LOCK_POLL)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        os.close(self._descriptor)

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
