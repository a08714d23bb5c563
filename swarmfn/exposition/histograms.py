"""Histograms for one writer: an observation is a look-up and two additions, and nothing is locked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""From a handler that answers at once to a run of an hour."""


class Histogram:
    """Observations by labels. One thread observes; any may ask for the family."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS) -> None:
        self._name, self._documentation, self._labels = name, documentation, list(labels)
        self._bounds = tuple(bounds)
        self._rows: dict[tuple[str, ...], list[float]] = {}

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """`labels` are the values of the histogram's labels, in order."""
        row = self._rows.get(labels)
        if row is None:
            # A count for each bound and one beyond, then the sum.
            row = self._rows[labels] = [0.0] * (len(self._bounds) + 2)
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def family(self) -> HistogramMetricFamily:
        """As it is now."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for labels, row in sorted(self._rows.copy().items()):
            *counts, total = row.copy()
            family.add_metric(list(labels), list(zip(names, accumulate(counts), strict=True)), total)
        return family
