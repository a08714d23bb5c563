"""The replica table, made of what the engine says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from swarmfn.provider.starting import START_TIMEOUT
from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.diagnosis import Failure, diagnose, progress
from swarmfn.provider.swarm.service_spec import FUNCTION_PORT
from swarmfn.provider.swarm.tasks import Task, what_runs
from swarmfn.wire.functions import FunctionStatus
from swarmfn.wire.replicas import Route
from swarmfn.wire.rollouts import Rollout


@dataclass(frozen=True)
class Cluster:
    """What the engine said last. `tasks` are those that should run."""

    functions: Mapping[str, Deployed] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    unreachable: frozenset[str] = frozenset()

    def candidates(self) -> dict[str, list[Task]]:
        """By function, the tasks that can be called if they accept connections."""
        names = {deployed.service_id: name for name, deployed in self.functions.items()}
        found: dict[str, list[Task]] = {name: [] for name in self.functions}
        for task in self.tasks:
            if task.service_id in names and task.is_serving(self.unreachable):
                found[names[task.service_id]].append(task)
        return found

    def tasks_of(self, service_id: str) -> list[Task]:
        return [task for task in self.tasks if task.service_id == service_id]


@dataclass(frozen=True)
class Clock:
    """The time of day, and how many seconds a replica may take to get ready unless its function says more."""

    now: float
    start_timeout: float = START_TIMEOUT


def replica_table(
    cluster: Cluster,
    is_admitted: Callable[[Task], bool],
    failures: Mapping[str, Failure],
    lost: Mapping[str, Iterable[str]],
    clock: Clock,
) -> dict[str, Route]:
    """A row for every function. `failures` by function, where one is known; `lost`: by function, the IP addresses of
    replicas whose node is down."""
    table = {}
    candidates = cluster.candidates()
    for name in sorted(cluster.functions):
        deployed = cluster.functions[name]
        serving = [task for task in candidates[name] if is_admitted(task)]
        silent = [task for task in candidates[name] if task not in serving]
        tasks = cluster.tasks_of(deployed.service_id)
        trouble = diagnose(deployed, tasks, serving, silent, failures.get(name))
        # Of a replica that accepts no connection yet nobody knows that it never will.
        is_failing = bool(trouble) and (name in failures or not silent)
        rollout = _rollout(deployed, serving, is_failing)
        if not trouble and not serving:
            trouble = progress(tasks, clock.now, deployed.function.start_timeout(clock.start_timeout))
        table[name] = Route(
            name=name,
            addresses=_addresses(task.ip for task in serving),
            replicas=wanted(deployed, cluster),
            exec_timeout=deployed.exec_timeout,
            queue=deployed.function.queue,
            policy=deployed.function.policy,
            problem=trouble,
            lost=_addresses(lost.get(name, ())),
            is_site=deployed.function.is_site,
            rollout=rollout,
        )
    return table


def _rollout(deployed: Deployed, serving: Iterable[Task], is_failing: bool) -> Rollout:
    if deployed.update.is_going_back:
        return Rollout.RUNNING
    if deployed.update.has_failed:
        return Rollout.TAKEN_BACK
    wanted = what_runs(deployed.template)
    is_served = any(what_runs(task.template) == wanted for task in serving)
    if deployed.replicas == 0 or (is_served and not deployed.update.is_running):
        return Rollout.DONE
    return Rollout.FAILING if is_failing else Rollout.RUNNING


def status(deployed: Deployed, cluster: Cluster, table: Mapping[str, Route]) -> FunctionStatus:
    """The function as the management API reports it."""
    row = table.get(deployed.name)
    return FunctionStatus(
        spec=deployed.function,
        replicas=wanted(deployed, cluster),
        available_replicas=len(row.addresses) if row else 0,
        created_at=deployed.created_at,
        rollout=row.rollout if row else Rollout.RUNNING,
        problem=row.problem if row else "",
    )


def wanted(deployed: Deployed, cluster: Cluster) -> int:
    """How many replicas there should be; of a service that runs everywhere, how many tasks there are."""
    if deployed.replicas is not None:
        return deployed.replicas
    return len(cluster.tasks_of(deployed.service_id))


def _addresses(ips: Iterable[str]) -> tuple[str, ...]:
    # Sorted, so that an equal set of replicas makes an equal table, in whatever order the engine lists them.
    return tuple(sorted(f"{ip}:{FUNCTION_PORT}" for ip in ips))
