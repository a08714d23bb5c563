"""Learning from the lists of tasks whether Swarm keeps those that ended.

How many it keeps is a setting of the swarm, which a proxy before the engine may not let us ask for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from swarmfn.provider.swarm.tasks import Task

FORGOTTEN = "a replica ended, and the swarm has forgotten why: see docker swarm update --task-history-limit"

_KEPT = 2.0
"""Seconds. Without a history tasks stay for a quarter of a second, rejected ones for up to one."""


@dataclass
class _Seen:
    wanted: list[Task] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)


class TaskHistory:
    """`forgets_at_once`: whether tasks are deleted as soon as they end; None as long as that is not known."""

    def __init__(self) -> None:
        self.forgets_at_once: bool | None = None
        self._seen: dict[str, _Seen] = {}

    def look(self, name: str, tasks: Sequence[Task], now: float) -> Task | None:
        """Takes in the tasks of a function as they are listed now. Returns one that was to run at the last look, and
        that nothing is known of any more."""
        before = self._seen.get(name, _Seen())
        ids = {task.id for task in tasks}
        gone = [task for task in before.wanted if task.id not in ids]
        ended = {task.id: before.ended.get(task.id, now) for task in tasks if not task.is_wanted and task.has_failed}
        if gone:
            self.forgets_at_once = True
        elif any(now - since > _KEPT for since in ended.values()):
            self.forgets_at_once = False
        self._seen[name] = _Seen([task for task in tasks if task.is_wanted and not task.has_failed], ended)
        return replace(gone[-1], state="gone", error=FORGOTTEN) if gone else None

    def keep(self, names: Collection[str]) -> None:
        """No others are looked at any more for now."""
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
