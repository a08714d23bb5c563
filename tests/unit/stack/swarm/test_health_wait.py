"""When a service counts as ready, told from what Swarm says of it one moment after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from stack.errors import DeployFailed
from stack.swarm.health import SETTLED, HealthWait
from stack.swarm.services import Present
from stack.swarm.spec import TASK_MARK
from stack.swarm.tasks import Task
from swarmfn.provider.swarm.documents import ServiceSpec

SPEC: ServiceSpec = {
    "Name": "small_web",
    "TaskTemplate": {"ContainerSpec": {"Image": "i", "Labels": {TASK_MARK: "new"}}},
    "Mode": {"Replicated": {"Replicas": 1}},
}


def task(number: int, state: str, error: str = "") -> Task:
    return Task(f"t{number}", "s", "new", state, True, error, "", "n", f"2030-01-01T00:00:{number:02}Z")


class Moments:
    """The services, the reports and the clock: each pause leads to the next moment's tasks, the last ones stay."""

    def __init__(self, *moments: list[Task]) -> None:
        self._moments: Iterator[list[Task]] = iter(moments)
        self._now: list[Task] = next(self._moments)
        self.time = self.changed_at = 100.0
        """`changed_at`: when what the engine says was another thing last."""
        self.history = 5
        self.kept: set[str] = set()

    def find(self, name: str) -> Present:
        return Present("s", 1, SPEC, "")

    def task_history(self) -> int:
        return self.history

    def with_exits(self, tasks: Iterable[Task]) -> list[Task]:
        return list(tasks)

    def keep(self, tasks: Iterable[Task]) -> None:
        self.kept |= {task.id for task in tasks}

    def tasks(self, service_id: str = "") -> list[Task]:
        return self._now

    def describe(self, spec: ServiceSpec, reason: str, task: Task | None) -> str:
        return reason

    def pause(self, seconds: float) -> None:
        self.time += seconds
        before, self._now = self._now, next(self._moments, self._now)
        if self._now != before:
            self.changed_at = self.time

    def wait(self, is_changed: bool) -> float:
        """Seconds until the service counted as ready."""
        began = self.time
        waiting = HealthWait(self, self, lambda line: None, lambda: self.time, self.pause)
        waiting.until_ready(SPEC, is_changed)
        return self.time - began


def test_a_replica_that_runs_for_a_moment_only_is_not_ready() -> None:
    # An unhealthy program that ends with 0 on SIGTERM: starting, running, complete.
    ends = [
        [task(1, "starting")],
        [task(1, "running")],
        [task(1, "complete", "unhealthy container")],
        [task(2, "running"), task(1, "complete", "unhealthy container")],
        [task(2, "complete", "unhealthy container"), task(1, "complete", "unhealthy container")],
    ]
    with pytest.raises(DeployFailed, match="unhealthy"):
        Moments(*ends).wait(is_changed=True)


def test_a_changed_service_is_ready_once_it_stays_so() -> None:
    assert Moments([task(1, "starting")], [task(1, "running")]).wait(is_changed=True) >= SETTLED


def test_nothing_is_waited_for_where_nothing_was_changed() -> None:
    assert Moments([task(1, "running")]).wait(is_changed=False) == 0


def test_a_service_that_flaps_is_ready_only_once_it_stays_so() -> None:
    """Each time it is down, the time that it has to stay up for begins again."""
    up, down = [task(1, "running")], [task(1, "starting")]
    flapping = [down, up, up, down, up, up, down]
    moments = Moments(*flapping, up)
    moments.wait(is_changed=True)
    assert moments.time - moments.changed_at >= SETTLED


def test_failures_are_counted_though_swarm_deletes_them_at_once() -> None:
    moments = Moments(
        [task(1, "starting")],
        [task(1, "failed", "non-zero exit (1)"), task(2, "ready")],
        [task(2, "starting")],
        [task(3, "starting")],  # of the second nothing more was seen
        [task(4, "starting")],
    )
    moments.history = 0
    with pytest.raises(DeployFailed, match=r"non-zero exit \(1\)"):
        moments.wait(is_changed=True)
    assert moments.time < 101
    assert moments.kept >= {"t1"}


def test_where_no_failure_was_seen_it_is_said_why_nobody_knows() -> None:
    moments = Moments(*[[task(number, "starting")] for number in range(5)])
    with pytest.raises(DeployFailed, match=r"the swarm has forgotten why: .*--task-history-limit"):
        moments.wait(is_changed=True)
