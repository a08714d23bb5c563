"""Waiting until a service is what it should be, and saying why it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from stack.errors import DeployFailed
from stack.swarm.services import Present
from stack.swarm.spec import TASK_MARK
from stack.swarm.tasks import Hopeless, Ready, Seen, Task, Verdict, Waiting, judge
from swarmfn.provider.swarm.documents import ServiceSpec

READY_TIMEOUT = 180.0
"""Seconds for a service, on top of what its replicas before may take to end."""

STUCK_TIMEOUT = 15.0

SETTLED = 1.0
"""Seconds that a changed service has to stay ready. Of a program that was unhealthy and ended with status 0 when it was
told to, Swarm says for a moment that it runs: its executor takes the end for the end of the start."""

_REPORT_INTERVAL = 5.0
_POLL = 0.4
_FAST_POLL = 0.08
"""Where Swarm keeps no tasks that ended: it deletes them, and their containers, a quarter of a second after the end."""

_ENOUGH_HISTORY = 3


class Services(Protocol):
    """What is asked about the services of a stack; see StackServices."""

    def find(self, name: str) -> Present | None: ...
    def tasks(self, service_id: str) -> list[Task]: ...
    def task_history(self) -> int: ...


class Reports(Protocol):
    """What is asked about tasks that failed; see FailureReports."""

    def with_exits(self, tasks: Iterable[Task]) -> list[Task]: ...
    def keep(self, tasks: Iterable[Task]) -> None: ...
    def describe(self, spec: ServiceSpec, reason: str, task: Task | None) -> str: ...


class HealthWait:
    """Waits for services of one stack. `clock` and `pause` stand for time."""

    def __init__(
        self,
        services: Services,
        reports: Reports,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._services = services
        self._reports = reports
        self._say = say
        self._clock = clock
        self._pause = pause

    def until_ready(self, spec: ServiceSpec, is_changed: bool, timeout: float = READY_TIMEOUT) -> None:
        """Returns once every replica of the specification is healthy. Raises DeployFailed with the reason and the end
        of the log.

        `is_changed`: this run gave the service its specification; otherwise only new failures count.
        """
        name, began = spec["Name"], self._clock()
        known = set() if is_changed else {task.id for task in self._tasks(name) if task.has_failed}
        settled = SETTLED if is_changed else 0.0
        timeout += _grace(spec)
        reported = began
        seen, is_forgetful = Seen(), self._services.task_history() < _ENOUGH_HISTORY
        poll = _FAST_POLL if is_forgetful else _POLL
        stuck_since: float | None = None
        ready_since: float | None = None
        while True:
            found = self._services.find(name)
            tasks = seen.with_those_of_before(self._services.tasks(found.id) if found else [])
            if is_forgetful:
                tasks = self._reports.with_exits(tasks)
                self._reports.keep(task for task in tasks if task.has_failed and task.id not in known)
            state = found.update_state if found and is_changed else ""
            verdict = _verdict(spec, tasks, state, known) if found else Waiting("the service is gone")
            now = self._clock()
            if isinstance(verdict, Ready):
                ready_since = now if ready_since is None else ready_since
                if now - ready_since >= settled:
                    return
                self._pause(poll)
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
            self._pause(poll)

    def _tasks(self, name: str) -> list[Task]:
        found = self._services.find(name)
        return self._services.tasks(found.id) if found else []

    def _failure(self, spec: ServiceSpec, reason: str, task: Task | None) -> DeployFailed:
        name = spec["Name"]
        if task is None:
            ours = spec["TaskTemplate"]["ContainerSpec"].get("Labels", {}).get(TASK_MARK, "")
            task = next((one for one in self._tasks(name) if one.container and one.mark == ours), None)
        return DeployFailed(self._reports.describe(spec, reason, task))


def _verdict(spec: ServiceSpec, tasks: Sequence[Task], update_state: str, known: Collection[str]) -> Verdict:
    mark = spec["TaskTemplate"]["ContainerSpec"].get("Labels", {}).get(TASK_MARK, "")
    replicated = spec["Mode"].get("Replicated")
    # Of a global service there are as many as Swarm has made.
    replicas = replicated["Replicas"] if replicated else max(1, sum(task.is_wanted for task in tasks))
    return judge(tasks, mark, replicas, update_state, known)


def _grace(spec: ServiceSpec) -> float:
    """How long the replicas that are replaced may take to end."""
    return float(spec["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod", 0)) / 1e9
