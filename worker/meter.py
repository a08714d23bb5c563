"""What one worker process counts by itself: how long calls wait and run, what comes of attempts and callbacks.

What must be exact over all workers and restarts is counted in Redis instead, together with what it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarmfn.exposition.histograms import Histogram
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.wire.invocations import Delivery, Invocation
from worker.decisions import Answer, Failure

NO_ANSWER = "none"
"""In place of a status when only the platform failed."""


class Meter(Collector):
    """`in_flight` gives what runs now by kind (`call`, `callback`). One thread counts; any may ask for the
    exposition."""

    def __init__(self, in_flight: Callable[[], Mapping[str, int]]) -> None:
        self._in_flight = in_flight
        self._waits = Histogram(
            "swarmfn_call_wait_seconds", "From accepting a call to its first attempt.", ["function"]
        )
        self._runs = Histogram("swarmfn_attempt_seconds", "How long attempts took.", ["function", "status"])
        self._deliveries = Histogram(
            "swarmfn_callback_seconds", "How long offering a callback took.", ["function", "outcome"]
        )
        self._failures: Counter[str] = Counter()
        self._lost = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def claimed(self, claim: Claim) -> None:
        """A claim is about to be run."""
        work = claim.work
        if isinstance(work, Invocation) and not claim.attempts and not claim.failures:
            self._waits.observe((work.function,), max(0.0, claim.claimed_at - work.start_time / 1e9))

    def ended(self, claim: Claim, result: Answer | Failure, decision: Completion | Postponement) -> None:
        """One attempt or offer has come to an end."""
        work = claim.work
        if isinstance(work, Invocation):
            status = str(result.status) if isinstance(result, Answer) else NO_ANSWER
            self._runs.observe((work.function, status), result.seconds)
        elif isinstance(work, Delivery):
            self._deliveries.observe((work.function, _outcome(decision)), result.seconds)
            if isinstance(result, Failure):
                self._failures[result.reason] += 1
            elif result.status >= 300:
                self._failures["status"] += 1

    def lost(self) -> None:
        """A result was dropped: the call was cancelled, or another worker has taken it over."""
        self._lost += 1

    def exposition(self) -> bytes:
        """Everything counted, in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        running = GaugeMetricFamily("swarmfn_worker_inflight", "What this process runs now.", labels=["kind"])
        for kind, number in self._in_flight().items():
            running.add_metric([kind], number)
        lost = CounterMetricFamily("swarmfn_worker_lost_claims", "Results dropped: cancelled, or taken over.")
        lost.add_metric([], self._lost)
        failures = CounterMetricFamily(
            "swarmfn_callback_failures", "Offers of callbacks that were not taken.", labels=["reason"]
        )
        for reason, number in sorted(self._failures.items()):
            failures.add_metric([reason], number)
        return [running, lost, failures, self._waits.family(), self._runs.family(), self._deliveries.family()]


def _outcome(decision: Completion | Postponement) -> str:
    if isinstance(decision, Postponement):
        return "offered_again"
    return "delivered" if decision.state == "succeeded" else "undelivered"
