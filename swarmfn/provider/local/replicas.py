"""The replicas of one state directory as they are: started, adopted, probed, told to stop, buried."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from swarmfn.provider.local import processes
from swarmfn.provider.local.decisions import Phase, Present, Timing
from swarmfn.provider.local.definitions import Definition
from swarmfn.provider.local.launcher import Launcher
from swarmfn.provider.local.probes import HEALTHY, Probe
from swarmfn.provider.local.records import Record, RecordStore
from swarmfn.provider.local.state_dir import StateDir

logger = logging.getLogger(__name__)

_PROBED = (Phase.STARTING, Phase.READY)


@dataclass
class Replica:
    """One running replica; `since` is when it entered its phase."""

    record: Record
    pidfd: int
    log_offset: int = 0
    since: float = field(default_factory=time.monotonic)
    next_probe: float = 0.0
    failed_probes: int = 0
    last_probe: str = "was not answered yet"
    probe: Probe | None = None

    @property
    def phase(self) -> Phase:
        return self.record.phase

    def present(self) -> Present:
        record = self.record
        return Present(record.id, record.revision, record.phase, self.since, record.drain, self.failed_probes)


class Replicas:
    """Belongs to the main loop.

    `on_change` is called with the function's name whenever a decision about it may come out differently, `on_exit`
    for each replica that ended, with its exit status if known.
    """

    def __init__(
        self,
        state: StateDir,
        launcher: Launcher,
        selector: selectors.BaseSelector,
        timing: Timing,
        on_change: Callable[[str], None],
        on_exit: Callable[[Replica, int | None], None],
    ) -> None:
        self._owner = state.owner
        self._records = RecordStore(state)
        self._launcher = launcher
        self._selector = selector
        self._timing = timing
        self._on_change = on_change
        self._on_exit = on_exit
        self._by_name: dict[str, dict[str, Replica]] = {}
        self._ended: set[str] = set()
        self._buried: set[str] = set()

    def __iter__(self) -> Iterator[Replica]:
        return iter([replica for replicas in self._by_name.values() for replica in replicas.values()])

    def of(self, name: str) -> list[Replica]:
        """The function's replicas, in the order of their start."""
        return list(self._by_name.get(name, {}).values())

    def adopt(self) -> None:
        """Takes over what an earlier provider left running, and kills what it did not come to write down."""
        for record in self._records.load():
            pidfd = record.process.open_pidfd()
            if pidfd is None:
                self._ended.add(record.id)
            else:
                self._add(Replica(record, pidfd))
        known = {replica.record.id for replica in self}
        processes.kill_marked(lambda mark: mark.owner == self._owner and mark.id not in known)
        self.bury()

    def start(self, definition: Definition) -> None:
        """Starts one replica, in phase STARTING. Raises OSError, with nothing left behind."""
        used = {replica.record.number for replica in self.of(definition.function.name)}
        number = next(number for number in range(1, len(used) + 2) if number not in used)
        launched = self._launcher.launch(definition, number)
        try:
            self._records.save(launched.record)
        except OSError:
            processes.send_signal(launched.pidfd, signal.SIGKILL)
            os.close(launched.pidfd)
            raise
        self._add(Replica(launched.record, launched.pidfd, launched.log_offset))

    def move(self, replica: Replica, phase: Phase) -> None:
        """Sends the signal that belongs to `phase`, and enters it."""
        # Signalled before it is written down: killed in between, the next owner signals again. The other way round it
        # would wait for a replica that was never told.
        if phase is Phase.STOPPING:
            processes.send_signal(replica.pidfd, signal.SIGTERM)
        elif phase is Phase.KILLED:
            processes.send_signal(replica.pidfd, signal.SIGKILL)
        replica.record = replace(replica.record, phase=phase)
        replica.since = time.monotonic()
        self._on_change(replica.record.name)
        try:
            self._records.save(replica.record)
        except OSError as exc:
            logger.warning("cannot record a replica's phase: %s", exc, extra={"event": "record_not_saved"})
        if phase not in _PROBED:
            self._end_probe(replica)

    def probe(self, now: float) -> float | None:
        """Begins the health checks that are due and ends those that take too long; returns when to be called again."""
        times = []
        for replica in self:
            if replica.phase not in _PROBED:
                continue
            if replica.probe is not None and now >= replica.probe.deadline:
                replica.probe.time_out()
            if replica.probe is None and now >= replica.next_probe:
                self._begin_probe(replica, now)
            times.append(replica.probe.deadline if replica.probe is not None else replica.next_probe)
        return min(times, default=None)

    def bury(self) -> None:
        """Clears up after replicas that ended: whatever they started goes too, like all of a container's processes."""
        if not self._ended:
            return
        processes.kill_marked(lambda mark: mark.owner == self._owner and mark.id in self._ended)
        self._buried |= self._ended
        self._ended.clear()

    def tidy(self) -> None:
        """Deletes the records of those that were buried. Raises OSError, and then wants to be called again."""
        for replica_id in list(self._buried):
            self._records.delete(replica_id)
            self._buried.discard(replica_id)

    def close(self) -> None:
        """Lets go of every replica; they go on running."""
        for replica in self:
            self._release(replica)

    def _add(self, replica: Replica) -> None:
        self._by_name.setdefault(replica.record.name, {})[replica.record.id] = replica
        self._on_change(replica.record.name)
        self._selector.register(replica.pidfd, selectors.EVENT_READ, lambda _events: self._exited(replica))

    def _exited(self, replica: Replica) -> None:
        self._release(replica)
        self._ended.add(replica.record.id)
        self._on_change(replica.record.name)
        self._on_exit(replica, processes.exit_status(replica.record.process.pid))

    def _release(self, replica: Replica) -> None:
        self._end_probe(replica)
        self._selector.unregister(replica.pidfd)
        os.close(replica.pidfd)
        siblings = self._by_name[replica.record.name]
        del siblings[replica.record.id]
        if not siblings:
            del self._by_name[replica.record.name]

    def _begin_probe(self, replica: Replica, now: float) -> None:
        deadline = now + self._timing.probe_timeout
        replica.probe = Probe(
            replica.record.port, self._selector, deadline, lambda result: self._probed(replica, result)
        )

    def _end_probe(self, replica: Replica) -> None:
        if replica.probe is not None:
            replica.probe.close()
            replica.probe = None

    def _probed(self, replica: Replica, result: str) -> None:
        replica.probe = None
        is_healthy = result == HEALTHY
        is_waiting = replica.phase is Phase.STARTING and not is_healthy
        replica.next_probe = time.monotonic() + (
            self._timing.start_poll if is_waiting else self._timing.health_interval
        )
        replica.last_probe = result
        if not is_healthy:
            replica.failed_probes += 1
            self._on_change(replica.record.name)
        elif replica.failed_probes:
            replica.failed_probes = 0
            self._on_change(replica.record.name)
        if is_healthy and replica.phase is Phase.STARTING:
            self.move(replica, Phase.READY)
