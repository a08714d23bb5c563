"""Which addresses were lost with their node, so that nobody waits for an answer from them."""

from __future__ import annotations

from dataclasses import dataclass

from swarmfn.provider.swarm.replica_rows import Cluster

KEPT = 60.0
"""Seconds for which a lost address stays in the table: longer than it takes every worker to read it."""


@dataclass(frozen=True)
class _Replica:
    function: str
    node_id: str
    seen: float


class LostReplicas:
    """Remembers where replicas were. Swarm lists a task no longer as one that should run as soon as its node is down,
    and one that was told to stop disappears the same way: only the memory of its node tells the two apart."""

    def __init__(self) -> None:
        self._replicas: dict[str, _Replica] = {}

    def note(self, cluster: Cluster, now: float) -> dict[str, tuple[str, ...]]:
        """Takes in what the engine said at `now` (seconds); the lost IP addresses by function, sorted."""
        self._replicas = {ip: one for ip, one in self._replicas.items() if now - one.seen < KEPT}
        for name, tasks in cluster.candidates().items():
            for task in tasks:
                self._replicas[task.ip] = _Replica(name, task.node_id, now)
        lost: dict[str, tuple[str, ...]] = {}
        for ip, replica in sorted(self._replicas.items()):
            if replica.node_id in cluster.unreachable:
                lost[replica.function] = (*lost.get(replica.function, ()), ip)
        return lost
