"""Histograms as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left

from prometheus_client.metrics_core import HistogramMetricFamily

from swarmfn.exposition.histograms import CALL_SECONDS, RUN_SECONDS, Buckets, Histogram, count_of


def test_buckets_are_cumulative_and_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram("took_seconds", "How long.", ["function"], bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(("echo",), value)
    histogram.observe(("other",), 2.0)
    values = {(sample.name, *sample.labels.values()): sample.value for sample in histogram.family().samples}
    assert values[("took_seconds_bucket", "echo", "1")] == 2
    assert values[("took_seconds_bucket", "echo", "2")] == 3
    assert values[("took_seconds_bucket", "echo", "+Inf")] == 4
    assert values[("took_seconds_count", "echo")] == 4
    assert values[("took_seconds_sum", "echo")] == 12.0
    assert values[("took_seconds_bucket", "other", "2")] == 1


def test_a_row_counts_what_is_observed_up_to_each_bound_and_beyond() -> None:
    buckets = Buckets((1.0, 2.5))
    row = buckets.empty_row()
    for value in (1.0, 2.0, 3.0, 4.0):
        row[bisect_left(buckets.bounds, value)] += 1
        row[-1] += value
    family = HistogramMetricFamily("took_seconds", "How long.", labels=["function"])
    buckets.show(family, ["echo"], row)
    shown = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert shown == {
        ("took_seconds_bucket", "1"): 1,
        ("took_seconds_bucket", "2.5"): 2,
        ("took_seconds_bucket", "+Inf"): 4,
        ("took_seconds_count", None): 4,
        ("took_seconds_sum", None): 10.0,
    }
    assert count_of(row) == 4
    assert count_of(buckets.empty_row()) == 0


def test_bounds_are_in_order_and_what_nobody_waits_for_may_take_an_hour() -> None:
    assert list(RUN_SECONDS) == sorted({*CALL_SECONDS, 3600.0})


def test_nothing_observed_is_a_family_without_samples() -> None:
    family = Histogram("took_seconds", "How long.", []).family()
    assert (family.name, family.samples) == ("took_seconds", [])
