"""Histograms that cost little on the path of every call: an observation is a look-up and two additions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily

CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""From a handler that answers at once to a computation that a caller still waits for."""

RUN_SECONDS = (*CALL_SECONDS, 3600.0)
"""The same up to a run of an hour."""

Row = list[float]
"""One series: a count for each bound and one beyond, then the sum of all values."""


class Buckets:
    """Bounds, and the rows that count by them.

    An observation is `row[bisect_left(bounds, value)] += 1` and `row[-1] += value`: so short that callers write it out.
    Where several threads observe, the caller holds a lock.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]

    def empty_row(self) -> Row:
        return [0.0] * (len(self.bounds) + 2)

    def show(self, family: HistogramMetricFamily, labels: Sequence[str], row: Row) -> None:
        """Adds the row to what Prometheus reads, in which a bucket counts all values up to its bound."""
        *counts, total = row
        family.add_metric(labels, list(zip(self._names, accumulate(counts), strict=True)), total)


def count_of(row: Row) -> float:
    """How many values were observed."""
    return sum(row[:-1])


class Histogram:
    """Observations by labels, without a lock. One thread observes; any may ask for the family."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float] = RUN_SECONDS
    ) -> None:
        self._name, self._documentation, self._labels = name, documentation, list(labels)
        self._buckets = Buckets(bounds)
        self._bounds = self._buckets.bounds
        self._rows: dict[tuple[str, ...], Row] = {}

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """`labels` are the values of the histogram's labels, in order."""
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = self._buckets.empty_row()
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def family(self) -> HistogramMetricFamily:
        """As it is now."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, row in sorted(self._rows.copy().items()):
            self._buckets.show(family, labels, row.copy())
        return family
