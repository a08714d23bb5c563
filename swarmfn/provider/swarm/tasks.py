"""Swarm's tasks, as the replica table needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from swarmfn.provider.swarm.documents import NodeDocument, TaskAttachment, TaskDocument, TaskTemplate
from swarmfn.wire.swarm_labels import NETWORK_LABEL, NETWORK_VALUE

# A function runs until it is told to stop: one that ends by itself has failed, whatever its status.
_FAILED = frozenset({"failed", "rejected", "complete"})
_UNREACHABLE = frozenset({"down", "disconnected"})


@dataclass(frozen=True)
class Task:
    """One run of one replica. `ip` is "" until it has one; `since`: when its state was entered, sortable; `template`:
    what it was made from, as the service had it then."""

    id: str
    service_id: str
    node_id: str
    state: str
    is_wanted: bool
    ip: str = ""
    since: str = ""
    error: str = ""
    exit_code: int = 0
    template: TaskTemplate | None = field(default=None, compare=False, repr=False)

    @property
    def has_failed(self) -> bool:
        return self.state in _FAILED

    @property
    def is_waiting(self) -> bool:
        """No node takes it; `error` says why."""
        return self.is_wanted and self.state == "pending" and self.error != ""

    @property
    def starting_since(self) -> float | None:
        """Since when it has been running without being healthy, as a time of the clock; None when it is not so."""
        if self.state != "starting" or not self.is_wanted:
            return None
        try:
            # The engine's nanoseconds are more than Python reads.
            return datetime.fromisoformat(self.since[:19]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None

    def is_serving(self, unreachable: Collection[str]) -> bool:
        """Healthy, not about to stop, and on none of the `unreachable` nodes."""
        return self.is_wanted and self.state == "running" and self.ip != "" and self.node_id not in unreachable


def read_tasks(tasks: Iterable[TaskDocument]) -> tuple[Task, ...]:
    """The tasks that the engine lists."""
    return tuple(_read(task) for task in tasks)


def unreachable_nodes(nodes: Iterable[NodeDocument]) -> frozenset[str]:
    """Ids of the nodes that cannot be reached: what runs there may go on, but nobody can tell."""
    return frozenset(node["ID"] for node in nodes if (node.get("Status") or {}).get("State") in _UNREACHABLE)


def latest_failure(tasks: Iterable[Task]) -> Task | None:
    """The task that failed last."""
    return max((task for task in tasks if task.has_failed), key=lambda task: task.since, default=None)


def what_runs(template: TaskTemplate | None) -> dict[str, object]:
    """What replaces a task when it changes."""
    # Swarm lets a task run on that was placed by other rules, as long as its node fulfils the new ones. The engine
    # reports the runtime only in services.
    return {key: value for key, value in (template or {}).items() if value and key not in ("Placement", "Runtime")}


def _read(task: TaskDocument) -> Task:
    status = task.get("Status") or {}
    return Task(
        id=task["ID"],
        service_id=task.get("ServiceID", ""),
        node_id=task.get("NodeID", ""),
        state=status.get("State", ""),
        is_wanted=task.get("DesiredState") == "running",
        ip=_ip(task.get("NetworksAttachments") or ()),
        since=status.get("Timestamp", ""),
        error=status.get("Err", ""),
        exit_code=int((status.get("ContainerStatus") or {}).get("ExitCode") or 0),
        template=task.get("Spec"),
    )


def _ip(attachments: Iterable[TaskAttachment]) -> str:
    """In the functions' network, else in another that the service is attached to by its own wish."""
    found: list[tuple[bool, str]] = []
    for attachment in attachments:
        network = (attachment.get("Network") or {}).get("Spec") or {}
        addresses = attachment.get("Addresses") or ()
        if addresses and not network.get("Ingress"):
            is_functions = (network.get("Labels") or {}).get(NETWORK_LABEL) == NETWORK_VALUE
            found.append((not is_functions, addresses[0].partition("/")[0]))
    return min(found, key=lambda entry: entry[0], default=(True, ""))[1]
