"""Real child processes for tests: started with a log, always ended."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.janitor import janitor
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]

# Each test process hands out ports from a range of its own, the first of which starts here.
FIRST_PORT = 12000
PORTS_EACH = 250

# Coverage sets this variable for the processes that are to be measured.
MEASURED = "COVERAGE_PROCESS_CONFIG"
TIME_TO_WRITE = 3.0


class ChildProcess:
    """One program in a process group of its own, its output in `log_path`. Use it as a context manager.

    `environment` is added to the test's own environment; PYTHONPATH holds the repository.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log_path = log_path
        variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **(environment or {})}
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                cwd=cwd,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        janitor().watch(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def send(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code; fails the test, showing the log, when it does not end in time."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s; its log:\n{self.log()}") from None

    def wait_for_log(self, text: str, timeout: float = 60.0) -> None:
        """Returns once `text` is in the log; fails the test when the process ends first."""

        def seen() -> bool:
            ended = self.exit_code is not None
            if text in self.log():
                return True
            if ended:
                raise RuntimeError(f"ended with {self.exit_code} before {text!r}; its log:\n{self.log()}")
            return False

        wait_until(seen, timeout, f"{text!r} in the log:\n{self.log()}")

    def terminate(self, timeout: float = 60.0) -> int:
        """SIGTERM, then its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to the whole process group; does nothing when all of it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """What the end of its block does: SIGKILL. Where coverage is measured it may write first what it has run."""
        if MEASURED in os.environ and self.exit_code is None:
            self.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TIME_TO_WRITE)
        self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def free_port() -> int:
    """A port that nothing listens on right now; no outgoing connection and no other test process takes it."""
    _, ports = _own_ports()
    for _ in range(PORTS_EACH):
        port = next(ports)
        if (trial := _bound(port)) is not None:
            trial.close()
            return port
    raise RuntimeError("every port of this process is in use")


@functools.cache
def _own_ports() -> tuple[socket.socket, Iterator[int]]:
    """The range of ports that this process alone hands out, in turn, and the socket that marks it as taken.

    It lies below the range from which the kernel picks: a port from there can become the near end of any
    connection before the program that it was meant for listens on it.
    """
    lowest_picked = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for first in range(FIRST_PORT, lowest_picked - PORTS_EACH + 1, PORTS_EACH):
        if (mark := _bound(first)) is not None:
            atexit.register(mark.close)
            return mark, itertools.cycle(range(first + 1, first + PORTS_EACH))
    raise RuntimeError(f"no free range of ports between {FIRST_PORT} and {lowest_picked}")


def _bound(port: int) -> socket.socket | None:
    """A socket that holds the port on every address; None when somebody has it."""
    holder = socket.socket()
    try:
        holder.bind(("", port))
    except OSError:
        holder.close()
        return None
    return holder


def listening_socket() -> socket.socket:
    """A bound and listening loopback socket on a port of its own, for programs that take `listen_fd`."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def is_running(pid: int) -> bool:
    """Whether process `pid` exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
