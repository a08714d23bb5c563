"""Which functions' replicas have been failing, and why."""

from __future__ import annotations

import logging
import time

from swarmfn.provider.local.decisions import NO_TROUBLE, Timing, Trouble
from swarmfn.provider.local.output import Output, last_line
from swarmfn.provider.local.replicas import Replica

logger = logging.getLogger(__name__)


class Troubles:
    """One Trouble a function at most. Belongs to the main loop."""

    def __init__(self, output: Output, timing: Timing) -> None:
        self._output = output
        self._timing = timing
        self._by_name: dict[str, Trouble] = {}

    def of(self, name: str) -> Trouble:
        return self._by_name.get(name, NO_TROUBLE)

    def forget(self, name: str) -> None:
        self._by_name.pop(name, None)

    def settle(self, name: str, healthy_since: list[float]) -> None:
        """Forgets the trouble once one of the replicas has stayed healthy for a while."""
        if healthy_since and time.monotonic() - min(healthy_since) >= self._timing.stable_after:
            self.forget(name)

    def note_replica(self, replica: Replica, what: str) -> None:
        """A replica failed: `what` completes "a replica …"; its last line of output is added."""
        name, number = replica.record.name, replica.record.number
        line = last_line(self._output.of_replica(name, number), replica.log_offset)
        self.note(name, f"{what}: {line}" if line else what)

    def note(self, name: str, reason: str) -> None:
        failures = self.of(name).failures + 1
        self._by_name[name] = Trouble(failures, time.monotonic(), reason)
        logger.warning(
            "a replica of %s %s; the next one starts in %g s",
            name,
            reason,
            self._timing.backoff(failures),
            extra={"event": "replica_failed", "function": name},
        )
