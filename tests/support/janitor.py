"""Ends what a killed test process leaves behind, so that it cannot get in the way of the next one."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import subprocess
import sys
import time

PATIENCE = 5.0
"""Seconds."""


class Janitor:
    """A process that outlives the one which made it, and then ends the process groups that this one has started."""

    def __init__(self) -> None:
        near, self._far = os.pipe()
        with open(near, "rb") as pids:
            command = [sys.executable, "-S", "-E", __file__]
            self._process = subprocess.Popen(command, stdin=pids, start_new_session=True)

    def watch(self, pid: int) -> None:
        """`pid` leads a process group. What has ended by then is left alone."""
        os.write(self._far, f"{pid}\n".encode())


@functools.cache
def janitor() -> Janitor:
    """That of this process."""
    return Janitor()


class Leaders:
    """Leaders of process groups, told apart from later processes with their pids by pidfd_open(2)."""

    def __init__(self) -> None:
        self._pids: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), select.POLLIN)

    def wait(self, seconds: float | None) -> bool:
        """Until something has happened; whether there is something to read."""
        ready = {number for number, _ in self._poll.poll(None if seconds is None else seconds * 1000)}
        for descriptor in ready & self._pids.keys():
            self._poll.unregister(descriptor)
            del self._pids[descriptor]
            os.close(descriptor)
        return sys.stdin.fileno() in ready

    def add(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._pids[descriptor] = pid
        self._poll.register(descriptor, select.POLLIN)

    def end(self) -> None:
        """Politely first: a gateway ends its functions then."""
        self._poll.unregister(sys.stdin.fileno())
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        while self._pids and (left := deadline - time.monotonic()) > 0:
            self.wait(left)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)


def main() -> None:
    leaders = Leaders()
    text = ""
    while True:
        if not leaders.wait(None):
            continue
        piece = os.read(sys.stdin.fileno(), 4096)
        if not piece:
            break
        *pids, text = (text + piece.decode()).split("\n")
        for pid in pids:
            leaders.add(int(pid))
    leaders.end()


if __name__ == "__main__":
    main()
