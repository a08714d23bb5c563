"""Whether a service has become what it should be, judged from its tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from stack.swarm.spec import TASK_MARK
from swarmfn.provider.swarm.documents import TaskDocument

_GONE = "gone"
"""Our word for a task that was wanted, and that Swarm knows nothing of any more."""

_ENDED = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned", _GONE}
_FAILED = {"complete", "failed", "rejected", _GONE}
_REFUSED = "non-zero exit (2)"
"""How a program ends that cannot use its settings; it would end so again."""


@dataclass(frozen=True)
class Task:
    """One attempt of Swarm's at running a replica. `mark` is the one its container carries; `error` says why it does
    not run."""

    id: str
    service_id: str
    mark: str
    state: str
    is_wanted: bool
    error: str
    container: str
    node: str
    timestamp: str

    @property
    def is_running(self) -> bool:
        """Swarm says running only once the health check has succeeded."""
        return self.state == "running" and self.is_wanted

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDED

    @property
    def is_forgotten(self) -> bool:
        """Swarm has deleted it before it was seen to end."""
        return self.state == _GONE

    @property
    def has_failed(self) -> bool:
        """It ended, though not because Swarm wanted it to."""
        return self.state in _FAILED


@dataclass(frozen=True)
class Ready:
    """Every replica runs as it should."""


@dataclass(frozen=True)
class Waiting:
    """Not yet; `reason` is what is known of why ("" for nothing in particular). `is_stuck`: nothing that the service
    does itself will change that, so that there is little sense in waiting for long."""

    reason: str
    is_stuck: bool = False


@dataclass(frozen=True)
class Hopeless:
    """It would go on failing. `task` is the attempt to look at."""

    reason: str
    task: Task | None


Verdict = Ready | Waiting | Hopeless


def read_tasks(entries: Iterable[TaskDocument]) -> list[Task]:
    """The tasks in what the engine answers to GET /tasks, the newest first."""
    return sorted((_task(entry) for entry in entries), key=lambda task: task.timestamp, reverse=True)


class Seen:
    """The tasks of one service, with those that Swarm has deleted since: how many it keeps of a replica is a setting of
    the swarm, and may be none."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def with_those_of_before(self, tasks: Sequence[Task]) -> list[Task]:
        """`tasks`, and those of earlier calls that are not among them; the newest first."""
        now = {task.id: task for task in tasks}
        gone = {task.id: _last_seen(task) for task in self._tasks.values() if task.id not in now}
        self._tasks = gone | now
        return sorted(self._tasks.values(), key=lambda task: task.timestamp, reverse=True)


def with_exit(task: Task, status: int | None) -> Task:
    """A task of which nothing more was known, with what its container ended with; None if that is not known either."""
    if status is None or task.state != _GONE:
        return task
    return replace(task, state="failed" if status else "complete", error=f"non-zero exit ({status})" if status else "")


def _last_seen(task: Task) -> Task:
    if task.has_ended:
        return task
    # What Swarm itself has ended is not a failure.
    return replace(task, state=_GONE if task.is_wanted else "shutdown", is_wanted=False)


def judge(tasks: Sequence[Task], mark: str, replicas: int, update_state: str, known: Collection[str]) -> Verdict:
    """`tasks` are the service's, the newest first; `known` the ids of those that had failed before we began."""
    ours = [task for task in tasks if task.mark == mark]
    failed = [task for task in ours if task.has_failed and task.id not in known]
    if update_state.startswith("rollback") or update_state == "paused":
        return Hopeless(_reason(failed, "Swarm gave the update up"), _telling(failed))
    old = [task for task in tasks if task.mark != mark and not task.has_ended]
    if len([task for task in ours if task.is_running]) >= replicas and not any(task.is_running for task in old):
        return Ready()
    telling = _telling(failed)
    if telling and len(failed) >= _attempts(telling):
        return Hopeless(_reason(failed, "it ends"), telling)
    return _waiting(ours, old, failed)


def _waiting(ours: Sequence[Task], old: Sequence[Task], failed: Sequence[Task]) -> Waiting:
    pending = [task for task in ours if task.state == "pending" and task.error]
    if pending and not old:
        return Waiting(pending[0].error, is_stuck=True)
    if old:
        return Waiting("the replica before is still finishing what it runs" if not ours else "replicas are replaced")
    starting = next((task for task in ours if not task.has_ended), None)
    if failed:
        return Waiting(_reason(failed, "it ended"))
    return Waiting(f"a replica is {starting.state}" if starting else "no replica was started yet")


def _attempts(failed: Task) -> int:
    """How many failures of this kind are enough."""
    if _REFUSED in failed.error:
        return 1
    return 2 if failed.state in ("rejected", "complete") or "unhealthy" in failed.error else 3


def _telling(failed: Sequence[Task]) -> Task | None:
    """The latest attempt that there is something to see of."""
    return next((task for task in failed if task.state != _GONE), failed[0] if failed else None)


def _reason(failed: Sequence[Task], otherwise: str) -> str:
    if not failed:
        return otherwise
    if known := next((task.error for task in failed if task.error), ""):
        return known
    if failed[0].state == _GONE:
        return f"{otherwise}, and the swarm has forgotten why: see `docker swarm update --task-history-limit`"
    return f"{otherwise} (state {failed[0].state})"


def _task(entry: TaskDocument) -> Task:
    status = entry.get("Status") or {}
    template = entry.get("Spec")
    labels = (template["ContainerSpec"].get("Labels") or {}) if template and template.get("ContainerSpec") else {}
    return Task(
        id=entry["ID"],
        service_id=entry.get("ServiceID", ""),
        mark=labels.get(TASK_MARK, ""),
        state=status.get("State", ""),
        is_wanted=entry.get("DesiredState") == "running",
        error=status.get("Err", "").removeprefix("task: "),
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        node=entry.get("NodeID", ""),
        timestamp=status.get("Timestamp") or entry.get("CreatedAt", ""),
    )
