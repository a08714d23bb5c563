"""How much of what the gateway can take is in use, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.crowd import Crowd
from gateway.invoke.bodies import BodyBudget


class LoadMetrics(Collector):
    """Reads `bodies` and `crowds` when somebody asks."""

    def __init__(self, bodies: BodyBudget, crowds: Sequence[Crowd]) -> None:
        self._bodies = bodies
        self._crowds = crowds

    def collect(self) -> Iterable[Metric]:
        connected = sum(len(crowd) for crowd in self._crowds)
        shed = sum(crowd.shed for crowd in self._crowds)
        refused = sum(crowd.refused for crowd in self._crowds)
        return [
            GaugeMetricFamily("gateway_upload_bytes", "Request bodies on their way.", self._bodies.used),
            GaugeMetricFamily("gateway_upload_budget_bytes", "How many may be.", self._bodies.size),
            CounterMetricFamily("gateway_uploads_refused", "Bodies there was no room for.", self._bodies.refused),
            GaugeMetricFamily("gateway_client_connections", "Clients that are connected.", connected),
            CounterMetricFamily("gateway_client_connections_shed", "Idle ones closed to make room.", shed),
            CounterMetricFamily("gateway_client_connections_refused", "Those there was no room for.", refused),
        ]
