"""Keeps the worker processes running, and hands a dead one's claims back at once."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from swarmfn.jobs.claims import hand_back_all
from swarmfn.jobs.connection import Unreachable, connect_blocking
from worker.presence import forget
from worker.settings import Settings

logger = logging.getLogger(__name__)

NAME_VARIABLE = "worker_name"
"""Set for a worker process by its supervisor."""

_LONGEST_PAUSE = 10.0
_HEALTHY_AFTER = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    name: str
    started: float
    failures: int


@dataclass
class Supervisor:
    """Runs `settings.worker_processes` children until SIGTERM or SIGINT; then they drain, and it ends."""

    settings: Settings
    is_stopping: bool = False
    _children: list[_Child] = field(default_factory=list)

    def run(self) -> int:
        """Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(self.settings.worker_processes):
            self._start(0)
        while self._children:
            self._wait_for_one()
        return 0

    def _wait_for_one(self) -> None:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            self._children.clear()
            return
        for child in self._children:
            if child.process.pid == pid:
                child.process.returncode = os.waitstatus_to_exitcode(status)
                self._children.remove(child)
                self._replace(child)
                return

    def _replace(self, child: _Child) -> None:
        code = child.process.returncode
        if code != 0:
            self._hand_back(child.name)
        if self.is_stopping:
            return
        failures = 1 if time.monotonic() - child.started > _HEALTHY_AFTER else child.failures + 1
        pause = min(_LONGEST_PAUSE, 0.1 * 2.0 ** (failures - 1))
        logger.error(
            "a worker process ended with %d; starting another in %.1f s",
            code,
            pause,
            extra={"event": "worker_died", "worker": child.name},
        )
        self._sleep(pause)
        if not self.is_stopping:
            self._start(failures)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.is_stopping and time.monotonic() < until:
            time.sleep(0.05)

    def _start(self, failures: int) -> None:
        name = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={**os.environ, NAME_VARIABLE: name},
            preexec_fn=die_with_parent(os.getpid()),
        )
        self._children.append(_Child(process, name, time.monotonic(), failures))
        if self.is_stopping:
            # The signal came after the decision to start it and before it was on the list.
            process.send_signal(signal.SIGTERM)

    def _hand_back(self, name: str) -> None:
        client = connect_blocking(self.settings.redis_address, self.settings.redis_password)
        try:
            returned = hand_back_all(client, name)
            forget(client, name)
        except Unreachable as exc:
            logger.error(
                "cannot hand back the calls of a dead worker (%s); others take over when its leases end",
                exc,
                extra={"event": "redis_unreachable", "worker": name},
            )
            return
        finally:
            client.close()
        if returned:
            logger.warning(
                "handed back %d calls of a dead worker; they run again",
                returned,
                extra={"event": "handed_back", "worker": name},
            )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.is_stopping = True
        for child in list(self._children):
            if child.process.returncode is None:
                child.process.send_signal(signal.SIGTERM)


def die_with_parent(parent: int) -> Callable[[], None]:
    """For preexec_fn: the child gets SIGTERM when its supervisor is gone, also by SIGKILL (prctl(2))."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
