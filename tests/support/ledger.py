"""The books of the queue: every call that was accepted is either final or still there."""

from __future__ import annotations

import redis

from swarmfn.jobs.layout import QUEUES_KEY, TOTALS_KEY, is_callback_queue


class Ledger:
    """Reads the totals and counts what is pending."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def total(self, event: str) -> int:
        """An event's sum over all functions (or queues)."""
        totals = self._client.hgetall(TOTALS_KEY)
        return sum(int(number) for name, number in totals.items() if name.decode().partition(":")[0] == event)

    def pending(self) -> int:
        """Calls that wait, are put off or run now."""
        queues = {name.decode() for name in self._client.smembers(QUEUES_KEY)}
        return sum(self._in_queue(queue) for queue in queues if not is_callback_queue(queue))

    def _in_queue(self, queue: str) -> int:
        started = self._client.zcard(f"rq:wip:{queue}")
        return int(self._client.llen(f"rq:queue:{queue}") + self._client.zcard(f"rq:scheduled:{queue}") + started)

    def final(self) -> int:
        return sum(self.total(event) for event in ("succeeded", "failed", "cancelled"))

    def assert_balanced(self) -> None:
        accepted, redriven = self.total("accepted"), self.total("redriven")
        totals = dict(sorted(self._client.hgetall(TOTALS_KEY).items()))
        assert accepted + redriven == self.final() + self.pending(), f"{self.pending()} pending, totals {totals}"
