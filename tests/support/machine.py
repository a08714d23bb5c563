"""A machine of its own for an engine, as far as an engine can tell: namespaces that end as one."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.engine_network import run
from tests.support.waiting import wait_until

_RUN_FOLDERS = ("/run/docker", "/run/containerd")

_BOOT = f"""
set -e
mount -t proc proc /proc
hostname "$1"
for folder in {" ".join(_RUN_FOLDERS)}; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
ip link set lo up
exec "$2" -I -c "$3"
"""

# The first process lives as long as the test's end of the pipe is open. As it ignores SIGCHLD, the kernel itself reaps
# the orphans that it inherits.
_FIRST_PROCESS = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.buffer.read()
"""


_FLAGS = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private")


@functools.cache
def namespaces_refused() -> str:
    """What the kernel said when it was asked for the namespaces of a machine and a network in it; "" if it makes
    them."""
    command = ["unshare", *_FLAGS, "sh", "-c", "mount -t proc proc /proc && ip link set lo up"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


class Machine:
    """Network, mount, host name and process namespaces. What runs in them ends with `end()`, and when the test run is
    killed. cgroups are this machine's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._outer = subprocess.Popen(
            ["unshare", *_FLAGS, "sh", "-c", _BOOT, "boot", name, sys.executable, _FIRST_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._outer.stdout is not None
        said = self._outer.stdout.readline()
        if said != b"ready\n":
            rest = self._outer.communicate()[0]
            raise AssertionError(f"cannot make namespaces: {(said + rest).decode(errors='replace')}")
        self.pid = self._first_process()

    @property
    def is_running(self) -> bool:
        return self._outer.poll() is None

    def enter(self, *command: str | Path) -> list[str]:
        """`command`, to be run inside."""
        prefix = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--uts", "--pid", "--"]
        return [*prefix, *map(str, command)]

    def run(self, *command: str | Path) -> str:
        """The output of a command inside; fails the test when it fails."""
        return run(*self.enter(*command))

    def end(self) -> None:
        """Everything in it dies at once (SIGKILL); idempotent."""
        assert self._outer.stdin is not None
        assert self._outer.stdout is not None
        self._outer.stdin.close()
        try:
            self._outer.wait(10)
        except subprocess.TimeoutExpired:
            self._kill_all()
        self._outer.stdout.close()

    def _kill_all(self) -> None:
        """With the first process all others die; a run that hangs for ever here would tell nothing."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._outer.wait(60)

    def _first_process(self) -> int:
        outer = self._outer.pid
        children = Path(f"/proc/{outer}/task/{outer}/children")
        return int(wait_until(lambda: children.read_text().split(), message="the first process is there")[0])


def remove_cgroups(name: str) -> None:
    """The groups `name` in every hierarchy, whose processes have ended."""
    for group in Path("/sys/fs/cgroup").glob(f"*/{name}"):
        for folder, _, _ in os.walk(group, topdown=False):
            wait_until(functools.partial(_removed, folder), message=f"{folder} is empty")


def _removed(folder: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(folder)
    return True
