"""The queue's books as metrics: read from Redis when somebody asks, in one step, so that they balance."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import redis
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarmfn.jobs.census import CALL_EVENTS, CALLBACK_EVENTS, Census, take_census
from swarmfn.jobs.layout import CALLBACK_QUEUE
from swarmfn.jobs.redis_commands import Unreachable

logger = logging.getLogger(__name__)


class QueueMetrics(Collector):
    """`client` is for threads and should have time limits: reading the metrics waits for it. While Redis is away
    the families are there without samples, and `swarmfn_redis_up` is 0."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("swarmfn_redis_up", "Whether Redis answered when this was read.")
        suspended = GaugeMetricFamily("swarmfn_workers_suspended", "1: workers claim nothing, after `rq suspend`.")
        try:
            census = take_census(self._client)
        except Unreachable as exc:
            logger.debug("no metrics of the queue: %s", exc)
            up.add_metric([], 0)
            return [up, suspended, *_families(Census((), ()))]
        up.add_metric([], 1)
        balance = GaugeMetricFamily("swarmfn_ledger_imbalance", "Calls not accounted for; 0 is right.")
        balance.add_metric([], census.imbalance)
        suspended.add_metric([], int(census.is_suspended))
        return [up, balance, suspended, *_families(census)]


def _families(census: Census) -> list[Metric]:
    return [*_counters(census), *_lengths(census), _oldest(census)]


def _counters(census: Census) -> list[Metric]:
    calls = CounterMetricFamily("swarmfn_calls", "What happened to calls.", labels=["event", "function", "queue"])
    callbacks = CounterMetricFamily("swarmfn_callbacks", "What happened to callbacks.", labels=["event", "function"])
    others = CounterMetricFamily("swarmfn_other_jobs", "Jobs that are not calls.", labels=["event", "queue"])
    for counted in sorted(census.counters, key=lambda counted: (counted.event, counted.function, counted.queue)):
        if counted.event in CALL_EVENTS:
            calls.add_metric([counted.event, counted.function, counted.queue], counted.number)
        elif counted.event in CALLBACK_EVENTS:
            callbacks.add_metric([counted.event, counted.function], counted.number)
        elif counted.event in ("foreign", "unreadable"):
            others.add_metric([counted.event, counted.queue], counted.number)
    return [calls, callbacks, others]


def _lengths(census: Census) -> list[Metric]:
    calls = GaugeMetricFamily("swarmfn_calls_pending", "Calls that have not ended.", labels=["state", "queue"])
    callbacks = GaugeMetricFamily("swarmfn_callbacks_pending", "Callbacks that have not ended.", labels=["state"])
    receivers = [queue for queue in census.queues if queue.holds_callbacks]
    for state in ("waiting", "put_off", "running"):
        for queue in census.queues:
            if not queue.holds_callbacks:
                calls.add_metric([state, queue.queue], getattr(queue, state))
        # Clients choose the receivers: their names are not labels.
        callbacks.add_metric([state], sum(getattr(queue, state) for queue in receivers))
    return [calls, callbacks]


def _oldest(census: Census) -> Metric:
    oldest = GaugeMetricFamily("swarmfn_queue_oldest_seconds", "How long the first has waited.", labels=["queue"])
    of_receivers = [queue.oldest for queue in census.queues if queue.holds_callbacks and queue.oldest is not None]
    for queue in census.queues:
        if not queue.holds_callbacks and queue.oldest is not None:
            oldest.add_metric([queue.queue], queue.oldest)
    if of_receivers:
        oldest.add_metric([CALLBACK_QUEUE], max(of_receivers))
    return oldest
