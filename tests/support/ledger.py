"""The books of the queue: every call that was accepted is either final or still there."""

from __future__ import annotations

import redis

from swarmfn.jobs.census import DEBITS, Census, take_census


class Ledger:
    """Reads what the metrics are made of."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def census(self) -> Census:
        return take_census(self._client)

    def total(self, event: str) -> int:
        """An event's sum over all functions (or queues)."""
        return self.census().total(event)

    def pending(self) -> int:
        """Calls that wait, are put off or run now."""
        return self.census().pending

    def final(self) -> int:
        """Ends of calls, each of a redriven one's."""
        census = self.census()
        return sum(census.total(event) for event in DEBITS)

    def assert_balanced(self) -> None:
        census = self.census()
        assert census.imbalance == 0, census
