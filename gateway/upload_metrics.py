"""How much of the budget for request bodies is in use, as metrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.invoke.bodies import BodyBudget


class UploadMetrics(Collector):
    """Reads `bodies` when somebody asks."""

    def __init__(self, bodies: BodyBudget) -> None:
        self._bodies = bodies

    def collect(self) -> Iterable[Metric]:
        return [
            GaugeMetricFamily("gateway_upload_bytes", "Request bodies on their way.", self._bodies.used),
            GaugeMetricFamily("gateway_upload_budget_bytes", "How many may be.", self._bodies.size),
            CounterMetricFamily("gateway_uploads_refused", "Bodies there was no room for.", self._bodies.refused),
        ]
