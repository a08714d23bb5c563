"""Waiting until a service is what it should be, and saying why it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from stack.errors import DeployFailed
from stack.swarm.failures import FailureReports
from stack.swarm.services import StackServices
from stack.swarm.spec import TASK_MARK
from stack.swarm.tasks import Hopeless, Ready, Task, Verdict, Waiting, judge

READY_TIMEOUT = 180.0
"""Seconds for a service, on top of what its replicas before may take to end."""

STUCK_TIMEOUT = 15.0

SETTLED = 1.0
"""Seconds that a changed service has to stay ready. Of a program that was unhealthy and ended with status 0 when it was
told to, Swarm says for a moment that it runs: its executor takes the end for the end of the start."""

_REPORT_INTERVAL = 5.0
_POLL = 0.4


class HealthWait:
    """Waits for services of one stack. `clock` and `pause` stand for time."""

    def __init__(
        self,
        services: StackServices,
        reports: FailureReports,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._services = services
        self._reports = reports
        self._say = say
        self._clock = clock
        self._pause = pause

    def until_ready(self, spec: Mapping[str, Any], is_changed: bool, timeout: float = READY_TIMEOUT) -> None:
        """Returns once every replica of the specification is healthy. Raises DeployFailed with the reason and the end
        of the log.

        `is_changed`: this run gave the service its specification; otherwise only new failures count.
        """
        name, began = spec["Name"], self._clock()
        known = set() if is_changed else {task.id for task in self._tasks(name) if task.has_failed}
        settled = SETTLED if is_changed else 0.0
        timeout += _grace(spec)
        reported = began
        stuck_since: float | None = None
        ready_since: float | None = None
        while True:
            verdict = self._verdict(spec, is_changed, known)
            now = self._clock()
            if isinstance(verdict, Ready):
                ready_since = now if ready_since is None else ready_since
                if now - ready_since >= settled:
                    return
                self._pause(_POLL)
                continue
            ready_since = None
            if isinstance(verdict, Hopeless):
                raise self._failure(spec, verdict.reason, verdict.task)
            stuck_since = (stuck_since or now) if verdict.is_stuck else None
            if now - began > timeout or (stuck_since is not None and now - stuck_since > STUCK_TIMEOUT):
                raise self._failure(spec, f"is not ready after {now - began:.0f} s: {verdict.reason}", None)
            if now - reported > _REPORT_INTERVAL:
                reported = now
                self._say(f"{name}: still waiting, {now - began:.0f} s: {verdict.reason}")
            self._pause(_POLL)

    def _verdict(self, spec: Mapping[str, Any], is_changed: bool, known: set[str]) -> Verdict:
        found = self._services.find(spec["Name"])
        if found is None:
            return Waiting("the service is gone")
        tasks = self._services.tasks(found.id)
        mark = spec["TaskTemplate"]["ContainerSpec"].get("Labels", {}).get(TASK_MARK, "")
        replicated = spec["Mode"].get("Replicated")
        # Of a global service there are as many as Swarm has made.
        replicas = replicated["Replicas"] if replicated else max(1, sum(task.is_wanted for task in tasks))
        return judge(tasks, mark, replicas, found.update_state if is_changed else "", known)

    def _tasks(self, name: str) -> list[Task]:
        found = self._services.find(name)
        return self._services.tasks(found.id) if found else []

    def _failure(self, spec: Mapping[str, Any], reason: str, task: Task | None) -> DeployFailed:
        name = spec["Name"]
        if task is None:
            ours = spec["TaskTemplate"]["ContainerSpec"].get("Labels", {}).get(TASK_MARK, "")
            task = next((one for one in self._tasks(name) if one.container and one.mark == ours), None)
        return DeployFailed(self._reports.describe(spec, reason, task))


def _grace(spec: Mapping[str, Any]) -> float:
    """How long the replicas that are replaced may take to end."""
    return float(spec["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod", 0)) / 1e9
