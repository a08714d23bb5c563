"""Keeps the worker processes running, and hands a dead one's claims back at once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field

from swarmfn.backoff import backoff, failures_in_a_row
from swarmfn.jobs.consumer import hand_back_all
from swarmfn.jobs.logging_in import MountedPasswords
from swarmfn.jobs.redis_clients import connect_blocking
from worker.dead_workers import AGAIN_AFTER, DeadWorkers
from worker.isolation import NAME_VARIABLE
from worker.parent import PARENT_VARIABLE, STOP, WATCHED
from worker.presence import forget
from worker.settings import Settings

logger = logging.getLogger(__name__)

NUMBER_VARIABLE = "worker_number"
"""The same: which of the supervisor's processes it is, from 0. One that takes a dead one's place has its number."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_HEALTHY_AFTER = 10.0


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    name: str
    number: int
    started: float
    failures: int


@dataclass
class _Due:
    """A child to start at its time, in place of one that failed so often."""

    at: float
    failures: int
    number: int


@dataclass
class Supervisor:
    """Runs `settings.worker_processes` children until SIGTERM or SIGINT; then they drain, and it ends.

    Nothing here waits for one child only: while one is started ever more slowly, the calls of another that dies are
    handed back at once; and while Redis does not answer, those that died are replaced at once.
    """

    settings: Settings
    is_stopping: bool = False
    _children: list[_Child] = field(default_factory=list)
    _due: list[_Due] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dead_workers = DeadWorkers(self._hand_back)

    def run(self) -> int:
        """Returns the exit code."""
        # Blocked and waited for, none is missed; ignored ones (a shell's background jobs ignore SIGINT) never come.
        for watched in WATCHED:
            signal.signal(watched, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        for number in range(self.settings.worker_processes):
            self._start(number, 0)
        while self._children or (self._due and not self.is_stopping):
            self._wait()
            self._bury()
            self._do_what_is_due()
        self._dead_workers.close()
        return 0

    def _wait(self) -> None:
        """Until a signal comes, or something is due."""
        times = [due.at for due in self._due]
        if self._dead_workers.watch():
            times.append(time.monotonic() + AGAIN_AFTER)
        if not times:
            number = signal.sigwait(WATCHED)
        else:
            info = signal.sigtimedwait(WATCHED, max(0.0, min(times) - time.monotonic()))
            if info is None:
                return
            number = signal.Signals(info.si_signo)
        if number in STOP:
            self._stop()

    def _bury(self) -> None:
        # As process 1 of a container it inherits strangers (what a health check left, say): they are reaped too.
        ended = _reap()
        for child in [child for child in self._children if child.process.pid in ended]:
            child.process.returncode = ended[child.process.pid]
            self._children.remove(child)
            if child.process.returncode != 0:
                self._dead_workers.add(child.name)
            if not self.is_stopping:
                self._replace(child)

    def _replace(self, child: _Child) -> None:
        failures = failures_in_a_row(child.failures, time.monotonic() - child.started, _HEALTHY_AFTER)
        pause = backoff(failures, _SHORTEST_PAUSE, _LONGEST_PAUSE)
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
            if not self.is_stopping:
                self._start(one.number, one.failures)

    def _start(self, number: int, failures: int) -> None:
        name = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={
                **os.environ,
                NAME_VARIABLE: name,
                NUMBER_VARIABLE: str(number),
                PARENT_VARIABLE: str(os.getpid()),
            },
        )
        self._children.append(_Child(process, name, number, time.monotonic(), failures))
        logger.info("started worker process %d", process.pid, extra={"event": "worker_started", "worker": name})

    def _hand_back(self, name: str) -> int:
        """On the thread of the dead workers."""
        client = connect_blocking(self.settings.redis_address, MountedPasswords(self.settings.secret_mount_path))
        try:
            returned = hand_back_all(client, name)
            forget(client, name)
        finally:
            client.close()
        return returned

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
