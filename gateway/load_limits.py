"""How much the gateway takes in at a time: bodies and connections, from the settings and what the machine has."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.connection_limiter import ConnectionLimiter, most_connections
from gateway.invoke.body_budget import BodyBudget
from gateway.load_metrics import LoadMetrics
from gateway.settings import Settings


@dataclass(frozen=True)
class LoadLimits:
    """bodies: those in memory; unfinished: those of asynchronous calls that are half-way to Redis; spool: those that
    waitress keeps, on disk where they are large, before anybody reads them; limiters: of connections, one for each
    server that clients reach, as these run on threads of their own."""

    bodies: BodyBudget
    unfinished: BodyBudget
    spool: BodyBudget
    limiters: tuple[ConnectionLimiter, ...]
    has_spool: bool

    @classmethod
    def of(cls, settings: Settings, memory: int, descriptors: int) -> LoadLimits:
        """`memory` in bytes, `descriptors` that the process may have open."""
        has_spool = settings.data_plane == "flask"
        size = _upload_budget(settings, memory)
        bodies, unfinished, spool = (BodyBudget(size, settings.trusted_proxies) for _ in range(3))
        most = most_connections(descriptors, memory)
        limiters = tuple(
            ConnectionLimiter(most, settings.max_connections_per_client, settings.trusted_proxies)
            for _ in range(2 if has_spool else 1)
        )
        return cls(bodies, unfinished, spool, limiters, has_spool)

    def metrics(self) -> LoadMetrics:
        """How much of it is in use."""
        return LoadMetrics(self.spool if self.has_spool else self.bodies, self.unfinished, self.limiters)


def _upload_budget(settings: Settings, memory: int) -> int:
    """A quarter of the memory there is, unless the settings say otherwise; room for the largest body in any case."""
    return settings.upload_budget or max(memory // 4, settings.async_max_body)
