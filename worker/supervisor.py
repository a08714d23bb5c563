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

from swarmfn.jobs.claims import hand_back_all
from swarmfn.jobs.connection import Unreachable, connect_blocking
from swarmfn.jobs.logging_in import MountedPasswords
from worker.isolation import NAME_VARIABLE
from worker.presence import forget
from worker.settings import Settings

logger = logging.getLogger(__name__)

NUMBER_VARIABLE = "worker_number"
"""The same: which of the supervisor's processes it is, from 0. One that takes a dead one's place has its number."""

_LONGEST_PAUSE = 10.0
_HEALTHY_AFTER = 10.0
_HAND_BACK_AGAIN = 1.0
_PR_SET_PDEATHSIG = 1
_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED = _STOP | {signal.SIGCHLD}


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    name: str
    number: int
    started: float
    failures: int


@dataclass
class _Due:
    """Something to do at its time: start a child in place of one that failed so often, or hand back the calls of a
    dead one."""

    at: float
    failures: int = 0
    number: int = 0
    dead: str = ""


@dataclass
class Supervisor:
    """Runs `settings.worker_processes` children until SIGTERM or SIGINT; then they drain, and it ends.

    Nothing here waits for one child only: while one is started ever more slowly, the calls of another that dies are
    handed back at once.
    """

    settings: Settings
    is_stopping: bool = False
    _children: list[_Child] = field(default_factory=list)
    _due: list[_Due] = field(default_factory=list)

    def run(self) -> int:
        """Returns the exit code."""
        # Blocked and waited for, none is missed; ignored ones (a shell's background jobs ignore SIGINT) never come.
        for watched in _WATCHED:
            signal.signal(watched, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for number in range(self.settings.worker_processes):
            self._start(number, 0)
        while self._children or (self._due and not self.is_stopping):
            self._wait()
            self._bury()
            self._do_what_is_due()
        return 0

    def _wait(self) -> None:
        """Until a signal comes, or something is due."""
        if not self._due:
            number = signal.sigwait(_WATCHED)
        else:
            pause = max(0.0, min(due.at for due in self._due) - time.monotonic())
            info = signal.sigtimedwait(_WATCHED, pause)
            if info is None:
                return
            number = signal.Signals(info.si_signo)
        if number in _STOP:
            self._stop()

    def _bury(self) -> None:
        # As process 1 of a container it inherits strangers (what a health check left, say): they are reaped too.
        ended = _reap()
        for child in [child for child in self._children if child.process.pid in ended]:
            child.process.returncode = ended[child.process.pid]
            self._children.remove(child)
            if child.process.returncode != 0:
                self._hand_back(child.name)
            if not self.is_stopping:
                self._replace(child)

    def _replace(self, child: _Child) -> None:
        failures = 1 if time.monotonic() - child.started > _HEALTHY_AFTER else child.failures + 1
        pause = min(_LONGEST_PAUSE, 0.1 * 2.0 ** (failures - 1))
        logger.error(
            "a worker process ended with %d; starting another in %.1f s",
            child.process.returncode,
            pause,
            extra={"event": "worker_died", "worker": child.name},
        )
        self._due.append(_Due(time.monotonic() + pause, failures, child.number))

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [one for one in self._due if one.at <= now]
        self._due = [one for one in self._due if one.at > now]
        for one in due:
            if one.dead:
                self._hand_back(one.dead)
            elif not self.is_stopping:
                self._start(one.number, one.failures)

    def _start(self, number: int, failures: int) -> None:
        name = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={**os.environ, NAME_VARIABLE: name, NUMBER_VARIABLE: str(number)},
            preexec_fn=die_with_parent(os.getpid()),
        )
        self._children.append(_Child(process, name, number, time.monotonic(), failures))
        logger.info("started worker process %d", process.pid, extra={"event": "worker_started", "worker": name})

    def _hand_back(self, name: str) -> None:
        client = connect_blocking(self.settings.redis_address, MountedPasswords(self.settings.secret_mount_path))
        try:
            returned = hand_back_all(client, name)
            forget(client, name)
        except Unreachable as exc:
            logger.error(
                "cannot hand back the calls of a dead worker (%s); trying again in %g s",
                exc,
                _HAND_BACK_AGAIN,
                extra={"event": "redis_unreachable", "worker": name},
            )
            self._due.append(_Due(time.monotonic() + _HAND_BACK_AGAIN, dead=name))
            return
        finally:
            client.close()
        if returned:
            logger.warning(
                "handed back %d calls of a dead worker; each runs again with nothing beside it",
                returned,
                extra={"event": "handed_back", "worker": name},
            )

    def _stop(self) -> None:
        self.is_stopping = True
        for child in self._children:
            # Not yet reaped, so the id is still its own.
            os.kill(child.process.pid, signal.SIGTERM)


def _reap() -> dict[int, int]:
    """Exit codes of the processes that have ended, by their ids."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def die_with_parent(parent: int) -> Callable[[], None]:
    """For preexec_fn: the child gets SIGTERM when its supervisor is gone, also by SIGKILL (prctl(2)), and none of the
    signals that its supervisor waits for is blocked in it."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
