"""Logins that failed: counted, logged with their address, and slowed."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.invoke.clients import neighbourhood

logger = logging.getLogger(__name__)

BURST = 20
"""Failures in a row that an address is answered as usual: people mistype, and pages ask for several things at once."""

EVERY = 3.0
"""Seconds after which it may fail once more."""

_MOST_ADDRESSES = 10_000


class FailedLogins(Collector):
    """A bucket for each address (each /64 of IPv6) that failed recently. May be used from any thread.

    Who has the right credentials is never asked about here, so nobody can lock out anybody.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._total = 0
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When an address will have its whole burst again, the one that failed last at the end."""

    def failed(self, address: str) -> float:
        """Notes one; 0, or how many seconds this address should wait since it has failed too often."""
        key = neighbourhood(address)
        with self._lock:
            self._total += 1
            now = self._now()
            before = max(self._full_at.pop(key, now), now)
            wait = before - now - (BURST - 1) * EVERY
            self._full_at[key] = before if wait > 0 else before + EVERY
            while len(self._full_at) > _MOST_ADDRESSES:
                self._full_at.popitem(last=False)
        if wait <= 0:
            # Only these have a line each: the log must not grow as fast as somebody can guess.
            logger.warning("a login failed, from %s", address, extra={"event": "login_failed", "client": address})
        return max(0.0, wait)

    def collect(self) -> list[Metric]:
        """For /metrics."""
        counted = CounterMetricFamily("gateway_failed_logins", "Requests with wrong credentials.")
        counted.add_metric([], self._total)
        return [counted]
