"""Taking services away, and waiting until their replicas have finished and are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from stack.errors import StackError
from stack.swarm.services import Present, StackServices
from stack.swarm.tasks import Task

_SLACK = 60.0
_REPORT_INTERVAL = 5.0
_POLL = 0.3


class Removal:
    """Removes services, ours or functions'."""

    def __init__(self, services: StackServices, say: Callable[[str], None]) -> None:
        self._services = services
        self._say = say

    def remove(self, names: Iterable[str]) -> None:
        """Removes the services and returns once their replicas have ended, each within its grace period. A service
        that is not there is skipped. Raises StackError when replicas do not end."""
        names = list(names)

        def remove_all() -> None:
            for name in names:
                self._services.remove(name)

        self.wait_for(names, remove_all)

    def wait_for(self, names: Iterable[str], remove: Callable[[], object]) -> None:
        """The same, where `remove` is what removes the services."""
        found = {name: service for name in names if (service := self._services.find(name))}
        remove()
        if found:
            self._wait(found)

    def _wait(self, found: dict[str, Present]) -> None:
        names = {service.id: name for name, service in found.items()}
        timeout = max(map(grace_of, found.values())) + _SLACK
        began = reported = time.monotonic()
        while left := self._running(names):
            now = time.monotonic()
            listed = ", ".join(sorted({names[task.service_id] for task in left}))
            if now - began > timeout:
                raise StackError(f"replicas of {listed} have not ended after {now - began:.0f} s.")
            if now - reported > _REPORT_INTERVAL:
                reported = now
                self._say(f"{listed}: finishing what is running, {now - began:.0f} s")
            time.sleep(_POLL)

    def _running(self, ids: Collection[str]) -> list[Task]:
        """What has not ended. A node that is down will never tell, so its tasks do not count."""
        tasks = [task for task in self._services.tasks() if task.service_id in ids and not task.has_ended]
        ready = self._services.ready_nodes() if tasks else set()
        return [task for task in tasks if task.node in ready]


def grace_of(service: Present) -> float:
    """Seconds that Swarm gives a replica to end."""
    container = service.spec["TaskTemplate"]["ContainerSpec"]
    return float(container.get("StopGracePeriod") or 10e9) / 1e9
