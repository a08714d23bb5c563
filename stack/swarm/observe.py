"""The state of the stack on a swarm, gathered without changing anything."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import docker

from stack.posture import NOTHING_KNOWN, Posture
from stack.status import FunctionLine, made_from, where, with_posture
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.function_services import function_name, function_services
from stack.tables import brief, table
from swarmfn.provider.swarm.diagnosis import Failure, describe
from swarmfn.provider.swarm.documents import ServiceDocument, ServiceMode
from swarmfn.provider.swarm.tasks import Task, latest_failure, read_tasks, unreachable_nodes
from swarmfn.wire.durations import format_duration
from swarmfn.wire.swarm_labels import FUNCTION_LABEL, STACK_LABEL

_TAKEN_BACK = "rollback_completed"
_FAILED_UPDATES = {
    "paused": "the last update failed and is paused",
    "rollback_started": "the last update failed and is taken back",
    "rollback_paused": "the last update failed, and taking it back too",
    _TAKEN_BACK: "the last update failed and was taken back",
}
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class ServiceRow:
    """One service. `problem` says what is wrong ("" when nothing is); one that went back to its previous description
    `is_ready` anyway. `uptime`: seconds since the youngest replica began; `restarts`: the failed tasks that Swarm
    remembers, at most a few for each replica."""

    name: str
    state: str
    available: int
    replicas: int
    uptime: float
    restarts: int
    problem: str
    is_ready: bool


@dataclass(frozen=True)
class SwarmStatus:
    """The stack of one name on one swarm. `url`, `management_url`: as in StackStatus; `nodes`: how many can be reached,
    of how many."""

    url: str
    management_url: str
    stack: str
    nodes: tuple[int, int]
    services: Sequence[ServiceRow]
    functions: Sequence[FunctionLine]
    posture: Posture = NOTHING_KNOWN
    compose_files: Sequence[str] = ()

    @property
    def is_healthy(self) -> bool:
        """Every service is ready; functions do not count."""
        return bool(self.services) and all(service.is_ready for service in self.services)

    def to_json(self) -> dict[str, Any]:
        return {
            "healthy": self.is_healthy,
            **with_posture(asdict(self)),
            "nodes": {"reachable": self.nodes[0], "all": self.nodes[1]},
        }

    def rendered(self) -> str:
        """The tables that `status` prints."""
        if not self.services:
            return f'nothing of the stack "{self.stack}" is running in this swarm'
        services = [("SERVICE", "STATE", "REPLICAS", "UPTIME", "RESTARTS", "PROBLEM")]
        services += [
            (
                row.name,
                row.state,
                f"{row.available}/{row.replicas}",
                format_duration(int(row.uptime)),
                str(row.restarts),
                brief(row.problem),
            )
            for row in self.services
        ]
        reachable, total = self.nodes
        nodes = f"{total} node{'s' if total != 1 else ''}" + (
            f", {total - reachable} down" if reachable < total else ""
        )
        head = f"{where(self.url, self.management_url)}   stack {self.stack}   {nodes}"
        parts = [head + made_from(self.compose_files), table(services)]
        if self.functions:
            functions = [("FUNCTION", "REPLICAS", "PROBLEM")]
            functions += [
                (line.name, f"{line.available}/{line.replicas}", brief(line.problem)) for line in self.functions
            ]
            parts.append(table(functions))
        return "\n\n".join([*parts, *self.posture.parts()])


def observe(
    client: docker.DockerClient,
    stack: str,
    url: str,
    management_url: str,
    required: Collection[str] = (),
    posture: Posture = NOTHING_KNOWN,
    compose_files: Sequence[str] = (),
) -> SwarmStatus:
    """The status now. The gateway at `url` is not asked; `required`: the services that a stack has to have; `posture`:
    what the gateway said; `compose_files`: what the last `up` made it from.
    Raises StackError for an engine without an answer."""
    with engine_errors("look at the stack"):
        services = api_of(client).services(filters={"label": f"{STACK_LABEL}={stack}"})
        tasks = api_of(client).tasks(filters={"label": f"{STACK_LABEL}={stack}"})
        tasks += api_of(client).tasks(filters={"label": FUNCTION_LABEL})
        nodes = api_of(client).nodes()
    functions = function_services(client, stack)
    unreachable = unreachable_nodes(nodes)
    by_service: dict[str, list[Task]] = {}
    for task in {task.id: task for task in read_tasks(tasks)}.values():
        by_service.setdefault(task.service_id, []).append(task)
    now = datetime.now(UTC)
    rows = {
        service["ID"]: service_row(service, by_service.get(service["ID"], ()), unreachable, now)
        for service in [*services, *functions]
    }
    function_lines = [_function_line(function_name(service), rows[service["ID"]]) for service in functions]
    ids = {service["ID"] for service in functions}
    service_rows = [rows[service["ID"]] for service in services if service["ID"] not in ids]
    return SwarmStatus(
        url,
        management_url,
        stack,
        (len(nodes) - len(unreachable), len(nodes)),
        with_missing([_without_stack(row, stack) for row in service_rows], required),
        sorted(function_lines, key=lambda line: line.name),
        posture,
        compose_files,
    )


def service_row(
    service: ServiceDocument, tasks: Sequence[Task], unreachable: Collection[str], now: datetime
) -> ServiceRow:
    """A service and its tasks as one row."""
    running = [task for task in tasks if task.is_wanted and task.state == "running"]
    available = [task for task in running if task.node_id not in unreachable]
    replicas = _replicas(service["Spec"].get("Mode") or {}, tasks)
    update = str((service.get("UpdateStatus") or {}).get("State") or "")
    problem = _problem(tasks, len(available), replicas, update, len(running) - len(available))
    return ServiceRow(
        name=service["Spec"]["Name"],
        state=_state(len(available), replicas, update),
        available=len(available),
        replicas=replicas,
        uptime=min((_age(task.since, now) for task in available), default=0.0),
        restarts=len([task for task in tasks if task.has_failed]),
        problem=problem,
        is_ready=not problem or (len(available) >= replicas and update == _TAKEN_BACK),
    )


def with_missing(rows: Sequence[ServiceRow], required: Collection[str]) -> list[ServiceRow]:
    """The rows by name, with some for services that are not there, as after an interrupted `down` or `up`."""
    missing = set(required) - {row.name for row in rows} if rows else set()
    absent = [ServiceRow(name, "missing", 0, 0, 0.0, 0, "it is not there; `up` makes it", False) for name in missing]
    return sorted([*rows, *absent], key=lambda row: row.name)


def _state(available: int, replicas: int, update: str) -> str:
    if update in ("updating", "rollback_started"):
        return "updating" if update == "updating" else "rolling back"
    if available:
        return "running"
    return "starting" if replicas else "scaled to 0"


def _problem(tasks: Sequence[Task], available: int, replicas: int, update: str, lost: int) -> str:
    parts = [_FAILED_UPDATES[update]] if update in _FAILED_UPDATES else []
    if available < replicas:
        parts.append(f"{available} of {replicas} replicas run")
    if not parts:
        return ""
    reason = "their node is down" if lost else _reason(tasks)
    return "; ".join(parts) + (f": {reason}" if reason else "")


def _reason(tasks: Sequence[Task]) -> str:
    """What is known of why a replica is missing: what holds it up now, else how it ended last."""
    waiting = next((task for task in tasks if task.is_waiting), None)
    if waiting is not None:
        return f"no node can take it: {waiting.error}"
    failed = latest_failure(tasks)
    if failed is not None:
        return describe(Failure(failed))
    wanted = [task for task in tasks if task.is_wanted and task.state != "running"]
    latest = max(wanted, key=lambda task: task.since, default=None)
    return f"a replica is {latest.state}" if latest is not None else ""


def _replicas(mode: ServiceMode, tasks: Sequence[Task]) -> int:
    """How many are wanted; of a global service as many as Swarm has made tasks."""
    if "Replicated" in mode:
        return int((mode["Replicated"] or {}).get("Replicas") or 0)
    return len([task for task in tasks if task.is_wanted])


def _age(since: str, now: datetime) -> float:
    try:
        # The engine's times have nanoseconds, more than Python reads.
        began = datetime.fromisoformat(_FRACTION.sub("", since).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return round(max(0.0, (now - began).total_seconds()), 1)


def _without_stack(row: ServiceRow, stack: str) -> ServiceRow:
    return ServiceRow(**{**asdict(row), "name": row.name.removeprefix(f"{stack}_")})


def _function_line(name: str, row: ServiceRow) -> FunctionLine:
    return FunctionLine(name, row.available, row.replicas, row.problem)
