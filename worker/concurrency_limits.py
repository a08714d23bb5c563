"""How many calls of a function may run at a time, by queue, as the replica table says."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable

from swarmfn.jobs.layout import base_queue
from swarmfn.wire.replicas import ReplicaTable


class ConcurrencyLimits:
    """Reads the present table, and works it out again only when there is another one."""

    def __init__(self, table: Callable[[], ReplicaTable]) -> None:
        self._table = table
        self._of: ReplicaTable | None = None
        self._limits: dict[str, str] = {}

    def of(self, queue: str) -> str:
        """CLAIM's value for `queue`: "" when no function on it is limited."""
        table = self._table()
        if table is not self._of:
            self._of, self._limits = table, limits_by_queue(table)
        return self._limits.get(base_queue(queue), "")

    def of_all(self) -> str:
        """The same for no queue in particular: the limits of all functions."""
        limits = {name: route.policy.concurrency for name, route in self._table().items() if route.policy.concurrency}
        return json.dumps({"limits": limits})

    def holds(self, function: str, queue: str) -> bool:
        """Whether calls of `function` on `queue` may have to wait for room."""
        route = self._table().get(function)
        return route is not None and route.queue == base_queue(queue) and route.policy.concurrency > 0


def limits_by_queue(table: ReplicaTable) -> dict[str, str]:
    """For each queue with limited functions, JSON: their limits, and whether others share the queue with them."""
    limited: dict[str, dict[str, int]] = defaultdict(dict)
    shared = set()
    for name, route in table.items():
        if route.policy.concurrency:
            limited[route.queue][name] = route.policy.concurrency
        else:
            shared.add(route.queue)
    return {queue: json.dumps({"limits": limits, "others": queue in shared}) for queue, limits in limited.items()}
