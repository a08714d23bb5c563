"""How much of what the gateway can take is in use, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.connection_limiter import ConnectionLimiter
from gateway.invoke.body_budget import BodyBudget


class LoadMetrics(Collector):
    """Reads what it is given when somebody asks. unfinished: of asynchronous calls' bodies, on their way to Redis."""

    def __init__(self, bodies: BodyBudget, unfinished: BodyBudget, limiters: Sequence[ConnectionLimiter]) -> None:
        self._bodies = bodies
        self._unfinished = unfinished
        self._limiters = limiters

    def collect(self) -> Iterable[Metric]:
        connected = sum(len(limiter) for limiter in self._limiters)
        shed = sum(limiter.shed for limiter in self._limiters)
        refused = sum(limiter.refused for limiter in self._limiters)
        no_room = self._bodies.refused + self._unfinished.refused
        return [
            GaugeMetricFamily("gateway_upload_bytes", "Request bodies in memory.", self._bodies.used),
            GaugeMetricFamily("gateway_upload_budget_bytes", "How many bytes may be in memory.", self._bodies.size),
            GaugeMetricFamily("gateway_unfinished_bytes", "Bodies on their way to Redis.", self._unfinished.used),
            CounterMetricFamily("gateway_uploads_refused", "Bodies refused for lack of room.", no_room),
            GaugeMetricFamily("gateway_client_connections", "Clients that are connected.", connected),
            CounterMetricFamily("gateway_client_connections_shed", "Idle ones closed to make room.", shed),
            CounterMetricFamily("gateway_client_connections_refused", "Those refused for lack of room.", refused),
        ]
