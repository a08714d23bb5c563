"""A service that is kept running until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from stack.embedded.child import Child, launch
from stack.embedded.records import Records
from stack.embedded.spec import ServiceSpec
from swarmfn.backoff import backoff, failures_in_a_row
from swarmfn.process_identity import ProcessIdentity

log = logging.getLogger("supervisor")

SHORTEST, LONGEST = 0.2, 10.0
"""Seconds between the end of a service and its next start."""
HEALTHY_AFTER = 10.0


class Supervised:
    """Starts the service, or adopts its running process, and starts it again whenever it ends.

    Make it inside a running event loop; `stop()` ends it for good.
    """

    def __init__(self, spec: ServiceSpec, records: Records, adopt: ProcessIdentity | None = None) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.restarts = 0
        self.last_end = ""
        self._records = records
        self._since = time.time()
        self._stopping = asyncio.Event()
        if adopt is not None:
            self.child = Child(adopt, is_adopted=True)
            log.info("%s runs already", spec.name, extra={"event": "service_adopted", "pid": adopt.pid})
        self._task = asyncio.create_task(self._keep_running())

    def status(self) -> dict[str, Any]:
        """For people and for the command: name, state, pid, since when, restarts, how it last ended."""
        return {
            "name": self.spec.name,
            "state": "running" if self.child else "stopping" if self._stopping.is_set() else "waiting",
            "pid": self.child.process.pid if self.child else None,
            "since": self._since,
            "restarts": self.restarts,
            "last_end": self.last_end,
            "fingerprint": self.spec.fingerprint,
        }

    async def stop(self) -> None:
        """Ends the process (SIGTERM, SIGKILL when its time is up) and forgets it; safe to call twice."""
        self._stopping.set()
        if self.child is not None:
            await self.child.stop(self.spec.stop_timeout)
        await self._task
        self._records.remove(self.spec.name)

    async def leave(self) -> None:
        """Ends the supervision and leaves the process running, for another supervisor to adopt."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            await self._run_once()
            if self._stopping.is_set():
                return
            failures = failures_in_a_row(failures, time.monotonic() - started, HEALTHY_AFTER)
            delay = backoff(failures, SHORTEST, LONGEST)
            self.restarts += 1
            self._since = time.time()
            log.warning(
                "%s ended (%s); will start it again in %.1f s", self.spec.name, self.last_end, delay,
                extra={"event": "service_ended"},
            )  # fmt: skip
            await self._pause(delay)

    async def _run_once(self) -> None:
        try:
            child = self.child or launch(self.spec, self._records)
        except Exception as exc:  # a full disk, say: the next try may succeed, and nobody else makes one
            self.last_end = f"cannot be started: {exc}"
            return
        self.child, self._since = child, time.time()
        if child.is_adopted:
            watch = asyncio.create_task(child.watch_adopted())
            self.last_end = await child.ended
            await watch
        else:
            log.info("started %s", self.spec.name, extra={"event": "service_started", "pid": child.process.pid})
            self.last_end = await child.ended
        self.child = None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
