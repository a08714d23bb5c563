"""Child processes, each the leader of a process group of its own that ends as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Mapping

ExitCallback = Callable[[int], None]
Environment = Mapping[bytes, bytes] | Mapping[str, str]


class Lifeline:
    """Kills a process group once this watchdog is gone, however it went.

    The read end of a pipe, open in the children, is told to have the kernel send SIGKILL to the group when something
    happens on the pipe; the only thing that can happen is that its write end closes, here or with this process.
    Unlike PR_SET_PDEATHSIG it reaches grandchildren, needs no code between fork and exec, and cannot hit a group
    that has got the same number since.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        # The children inherit the read end; a process spawned later must not, so `attach` takes that back.
        os.set_inheritable(self._read, True)

    def attach(self, group: int) -> None:
        os.set_inheritable(self._read, False)
        # Sandboxes that lack this still have killpg for every case but the watchdog's own sudden death.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._read, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self._read, fcntl.F_SETOWN, -group)
            fcntl.fcntl(self._read, fcntl.F_SETFL, os.O_ASYNC)

    def cut(self) -> None:
        """SIGKILL for everything left in the group. The read end closes second, so that the signal finds its owner."""
        os.close(self._write)
        os.close(self._read)


class Child:
    """A running child. `kill()` ends its whole process group and must be called in every case; it is idempotent.

    While the child itself still runs, `kill()` also ends those of its descendants that went into a session or group of
    their own, unless their parent has ended: then nothing tells whose they are. What a child that has ended by itself
    left in a session of its own stays.
    """

    def __init__(self, pid: int, lifeline: Lifeline) -> None:
        self.pid = pid
        self._lifeline: Lifeline | None = lifeline
        self._on_exit: list[ExitCallback] = []
        self.exit_code: int | None = None

    def on_exit(self, callback: ExitCallback) -> None:
        """Calls back with the exit code (negative: a signal's number) once the child is reaped."""
        if self.exit_code is None:
            self._on_exit.append(callback)
        else:
            callback(self.exit_code)

    def reaped(self, exit_code: int) -> None:
        self.exit_code = exit_code
        for callback in self._on_exit:
            callback(exit_code)

    def kill(self) -> None:
        if self._lifeline is None:
            return
        # Only while its leader is not reaped is the number surely still this group's.
        if self.exit_code is None:
            _send(os.killpg, self.pid, signal.SIGSTOP)
            for pid in _stopped_family(self.pid):
                _send(os.kill, pid, signal.SIGKILL)
            _send(os.killpg, self.pid, signal.SIGKILL)
        self._lifeline.cut()
        self._lifeline = None


def _stopped_family(leader: int) -> list[int]:
    """All that descends from `leader`, each one stopped first, so that it does not start another meanwhile."""
    family = _children_of(leader)
    for pid in family:
        _send(os.kill, pid, signal.SIGSTOP)
        family += _children_of(pid)
    return family


def _children_of(pid: int) -> list[int]:
    """Empty where the kernel does not tell."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def _send(how: Callable[[int, int], None], target: int, number: int) -> None:
    with contextlib.suppress(OSError):
        how(target, number)


class Nursery:
    """Starts children and reaps them, orphans too: in a container the watchdog is process 1 and inherits those."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._children: dict[int, Child] = {}
        loop.add_signal_handler(signal.SIGCHLD, self.reap)

    def spawn(
        self, program: str, command: tuple[str, ...], environment: Environment, stdin: int, stdout: int, stderr: int
    ) -> Child:
        """Starts the file `program` with the words of `command` on these descriptors. Raises OSError, ValueError."""
        lifeline = Lifeline()
        try:
            pid = os.posix_spawn(
                program,
                command,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, ours, number) for number, ours in enumerate((stdin, stdout, stderr))
                ],
                setpgroup=0,
                # Python ignores these two; children expect them as they are by default.
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        except BaseException:
            lifeline.cut()
            raise
        lifeline.attach(pid)
        child = self._children[pid] = Child(pid, lifeline)
        return child

    def reap(self) -> None:
        """Collects every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                child.reaped(os.waitstatus_to_exitcode(status))

    def kill_all(self) -> None:
        for child in tuple(self._children.values()):
            child.kill()


def find_program(name: str, path: str) -> str | None:
    """The executable that `name` means, looked for in `path` as a shell does (`shutil.which` is slow to import)."""
    folders = [""] if "/" in name else path.split(os.pathsep)
    candidates = (os.path.join(folder, name) for folder in folders)
    return next((file for file in candidates if os.path.isfile(file) and os.access(file, os.X_OK)), None)
