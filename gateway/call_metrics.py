"""What the gateway counts, under the names that OpenFaaS's dashboards use, and where Prometheus reads it.

Counting is on the path of every call, so it is a few integers under one lock; prometheus_client sees them only when
somebody asks for the exposition.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import itemgetter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from swarmfn.exposition.histograms import CALL_SECONDS, Buckets, Row, count_of
from swarmfn.wire.names import qualified
from swarmfn.wire.replicas import ReplicaTable

_BUCKETS = Buckets(CALL_SECONDS)

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


class _Function:
    """Everything counted about one function. answers: how long its calls took, by the status they ended with."""

    __slots__ = ("answers", "finished", "started")

    def __init__(self) -> None:
        self.started = 0
        self.finished = 0
        self.answers: dict[int, Row] = {}

    def copy(self) -> _Function:
        copied = _Function()
        copied.started, copied.finished = self.started, self.finished
        copied.answers = {status: row.copy() for status, row in self.answers.items()}
        return copied


class InvocationMetrics:
    """Counts invocations by function. Every method may be called from any thread, and is quick.

    `table` gives the present replica table. Functions that have left it are forgotten once their last call has
    ended, so the exposition grows with what is deployed and not with what was. Callers pass plain names of functions
    they found in the table, never what a client typed.
    """

    def __init__(self, table: Callable[[], ReplicaTable]) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._functions: dict[str, _Function] = {}
        self._registry = CollectorRegistry()
        self._registry.register(_Families(self))
        self._requests = Counter(
            "http_requests",
            "Requests for the gateway's own routes.",
            ["code", "method", "path"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time spent on the gateway's own routes.",
            ["method", "path"],
            registry=self._registry,
        )

    def started(self, name: str) -> None:
        """A call of `name` begins; `finished` must follow."""
        with self._lock:
            function = self._functions.get(name)
            if function is None:
                function = self._functions[name] = _Function()
            function.started += 1

    def finished(self, name: str, status: int, seconds: float) -> None:
        """A call of `name` that was counted as started has ended with `status`."""
        bucket = bisect_left(CALL_SECONDS, seconds)
        with self._lock:
            function = self._functions[name]
            function.finished += 1
            row = function.answers.get(status)
            if row is None:
                row = function.answers[status] = _BUCKETS.empty_row()
            row[bucket] += 1
            row[-1] += seconds

    def ended(self) -> dict[str, int]:
        """Calls that have ended since this gateway started, by function."""
        with self._lock:
            return {name: function.finished for name, function in self._functions.items()}

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request for a route of the gateway's own; `route` is its pattern, such as `/system/function/<name>`.

        Methods that clients make up share a label: their number has no end.
        """
        method = method if method in _METHODS else "unknown"
        self._requests.labels(str(status), method, route).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def add(self, collector: Collector) -> None:
        """Shows what `collector` counts as well."""
        self._registry.register(collector)

    def exposition(self) -> bytes:
        """Everything counted, in Prometheus's text format."""
        return generate_latest(self._registry)

    def families(self) -> Iterable[Metric]:
        """The metrics about functions, as they are now."""
        table = self._table()
        # Calls wait for this lock: copy under it, build the metrics after it.
        with self._lock:
            self._forget(table)
            rows = [(qualified(name), function.copy()) for name, function in self._functions.items()]
        rows.sort(key=itemgetter(0))
        return [*_answered(rows), *_running(rows), *_deployed(table)]

    def _forget(self, table: ReplicaTable) -> None:
        gone = [name for name, row in self._functions.items() if name not in table and row.started == row.finished]
        for name in gone:
            del self._functions[name]


class _Families(Collector):
    """Hands the metrics about functions to prometheus_client."""

    def __init__(self, metrics: InvocationMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()


def _answered(rows: list[tuple[str, _Function]]) -> list[Metric]:
    total = CounterMetricFamily("gateway_function_invocation", "Calls that ended.", labels=["function_name", "code"])
    seconds = HistogramMetricFamily(
        "gateway_functions_seconds", "How long calls took.", labels=["function_name", "code"]
    )
    for name, function in rows:
        for status, row in sorted(function.answers.items()):
            total.add_metric([name, str(status)], count_of(row))
            _BUCKETS.show(seconds, [name, str(status)], row)
    return [total, seconds]


def _running(rows: list[tuple[str, _Function]]) -> list[Metric]:
    # A counter by nature, but prometheus_client would append `_total`, and dashboards know it without.
    started = UnknownMetricFamily("gateway_function_invocation_started", "Calls begun.", labels=["function_name"])
    in_flight = GaugeMetricFamily(
        "gateway_function_invocation_inflight", "Calls begun and not ended.", labels=["function_name"]
    )
    for name, function in rows:
        started.add_metric([name], function.started)
        in_flight.add_metric([name], function.started - function.finished)
    return [started, in_flight]


def _deployed(table: ReplicaTable) -> list[Metric]:
    wanted = GaugeMetricFamily("gateway_service_count", "Replicas wanted.", labels=["function_name"])
    ready = GaugeMetricFamily("gateway_service_ready_count", "Replicas that can serve.", labels=["function_name"])
    for name, route in sorted(table.items()):
        wanted.add_metric([qualified(name)], route.replicas)
        ready.add_metric([qualified(name)], len(route.addresses))
    return [wanted, ready]
