"""Stopping every replica of a state directory when no provider looks after it any more."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from swarmfn.provider.local import processes
from swarmfn.provider.local.decisions import Phase
from swarmfn.provider.local.records import Record, RecordStore
from swarmfn.provider.local.state_dir import Lock, StateDir


def stop_all(state_dir: Path, timeout: float) -> None:
    """Stops the replicas that run for `state_dir`, also those that others started; what they are running may finish.

    After `timeout` seconds, or a function's own drain time if that is shorter, what is left is killed. Definitions
    stay. Raises EngineUnavailable while a provider has the directory, since it would start them again.
    """
    if not state_dir.is_dir():
        return
    state = StateDir(state_dir)
    lock = Lock(state)
    try:
        records = RecordStore(state)
        present = records.load()
        _stop(present, timeout)
        processes.kill_marked(lambda mark: mark.owner == state.owner)
        for record in present:
            processes.exit_status(record.process.pid)
            records.delete(record.id)
    finally:
        lock.release()


def _stop(records: list[Record], timeout: float) -> None:
    """Asks them all to stop, at once, and waits."""
    started = time.monotonic()
    deadlines = {}
    for record in records:
        if (pidfd := record.process.open_pidfd()) is not None:
            deadlines[pidfd] = started + min(timeout, record.drain)
            # A watchdog that is told a second time drops what it is running.
            if record.phase is not Phase.STOPPING:
                processes.send_signal(pidfd, signal.SIGTERM)
    poll = select.poll()
    for pidfd in deadlines:
        poll.register(pidfd, select.POLLIN)
    while deadlines:
        wait = max(0.0, min(deadlines.values()) - time.monotonic())
        ended = [pidfd for pidfd, _ in poll.poll(wait * 1000)]
        overdue = [pidfd for pidfd, deadline in deadlines.items() if time.monotonic() >= deadline]
        for pidfd in overdue:
            processes.send_signal(pidfd, signal.SIGKILL)
        for pidfd in {*ended, *overdue}:
            del deadlines[pidfd]
            poll.unregister(pidfd)
            os.close(pidfd)
