"""Keeps the replica table as fresh as the engine allows, and as it was when the engine does not answer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from swarmfn.provider.swarm.admission import Admission
from swarmfn.provider.swarm.deployed import deployed_functions
from swarmfn.provider.swarm.diagnosis import is_in_trouble
from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused
from swarmfn.provider.swarm.investigator import Investigator
from swarmfn.provider.swarm.lost_replicas import LostReplicas
from swarmfn.provider.swarm.replica_rows import Clock, Cluster, replica_table
from swarmfn.provider.swarm.tasks import read_tasks, unreachable_nodes
from swarmfn.provider.swarm.timing import Timing
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.errors import EngineUnavailable
from swarmfn.wire.replicas import ReplicaTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """Functions and rows of one moment."""

    cluster: Cluster = field(default_factory=Cluster)
    table: ReplicaTable = field(default_factory=dict)


class Observer:
    """`view` may be read at any time, and so may `failures`, the unexpected ones. `publish` is called with each
    table that differs from the last.

    `api` is for this object's own looks, with a short time limit.
    """

    def __init__(
        self,
        api: EngineApi,
        timing: Timing,
        default_exec_timeout: float,
        start_timeout: float,
        admission: Admission,
        investigator: Investigator,
        publish: Callable[[ReplicaTable], None],
    ) -> None:
        self._api = api
        self._timing = timing
        self._default_exec_timeout = default_exec_timeout
        self._start_timeout = start_timeout
        self._admission = admission
        self._investigator = investigator
        self._publish = publish
        self._lost = LostReplicas()
        # One look at a time: each begins after the last has been taken in, so that none brings back an older state.
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        # Emptied and filled from two threads. To look and then to clear would lose what comes in between.
        self._hints = deque([True], maxlen=1)
        self._fast_until = 0.0
        self._next_full = 0.0
        self._is_out = False
        self.failures = RepeatedFailures(logger, "reading the functions' state", "look_failed")
        self._thread = threading.Thread(target=self._run, name="swarm-observer", daemon=True)
        self.view = View()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(self._timing.poll_timeout)

    def poke(self, everything: bool) -> None:
        """Something happened: looks at once, at services and nodes too if `everything`, and often for a while."""
        if everything:
            self._hints.append(True)
        self._fast_until = time.monotonic() + self._timing.fast_for
        self._wake.set()

    def look(self, everything: bool = False) -> None:
        """Asks the engine now. After the return `view` shows what it said, or something newer. Raises
        EngineUnavailable."""
        if not self._looking.acquire(timeout=self._timing.call_timeout):
            raise EngineUnavailable("the Docker Engine does not answer.", "Is it running? Functions that run go on.")
        try:
            self._take_in(self._ask(everything))
        except EngineRefused as exc:
            raise EngineUnavailable(f"the Docker Engine does not list its services: {exc.text}.") from exc
        finally:
            self._looking.release()

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.clear()
            everything = self._is_hinted() or time.monotonic() >= self._next_full
            try:
                self.look(everything)
            except EngineUnavailable as exc:
                self._hints.append(True)
                self._note_outage(exc)
            except Exception as exc:
                self._hints.append(True)
                self.failures.note(exc)
            else:
                self._note_answer()
                self.failures.over()
            is_fast = time.monotonic() < self._fast_until and not self._is_out
            self._pause(is_fast)

    def _is_hinted(self) -> bool:
        """Whether somebody has asked for everything since the last time."""
        try:
            return self._hints.pop()
        except IndexError:
            return False

    def _pause(self, is_fast: bool) -> None:
        """Until the next look is due. A burst of events makes no more looks than the fast poll."""
        time.sleep(0 if self._is_closing else min(self._timing.fast_poll, self._timing.poll) / 4)
        self._wake.wait(self._timing.fast_poll if is_fast else self._timing.poll)

    def _ask(self, everything: bool) -> Cluster:
        cluster = self.view.cluster
        if everything:
            self._next_full = time.monotonic() + self._timing.full_poll
            functions = deployed_functions(self._api.services(), self._default_exec_timeout)
            cluster = replace(cluster, functions=functions, unreachable=unreachable_nodes(self._api.nodes()))
        return replace(cluster, tasks=read_tasks(self._api.wanted_tasks()))

    def _take_in(self, cluster: Cluster) -> None:
        candidates = cluster.candidates()
        self._admission.check(task for tasks in candidates.values() for task in tasks)
        troubled = {
            name: deployed
            for name, deployed in cluster.functions.items()
            if is_in_trouble(deployed, [task for task in candidates[name] if self._admission.is_admitted(task)])
        }
        self._investigator.look_into(troubled)
        lost = self._lost.note(cluster, time.monotonic())
        clock = Clock(time.time(), self._start_timeout)
        table = replica_table(cluster, self._admission.is_admitted, self._investigator.failures, lost, clock)
        is_changed = table != self.view.table
        self.view = View(cluster, table if is_changed else self.view.table)
        if is_changed:
            self._publish(table)

    def _note_outage(self, exc: EngineUnavailable) -> None:
        if not self._is_out:
            logger.warning(
                "%s The last table stays in use; will ask again every %g s",
                exc.message,
                self._timing.poll,
                extra={"event": "engine_lost"},
            )
        self._is_out = True

    def _note_answer(self) -> None:
        if self._is_out:
            logger.info("the Docker Engine answers again", extra={"event": "engine_back"})
        self._is_out = False
