"""Histograms as Prometheus reads them."""

from __future__ import annotations

from swarmfn.exposition.histograms import Histogram


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


def test_nothing_observed_is_a_family_without_samples() -> None:
    family = Histogram("took_seconds", "How long.", []).family()
    assert (family.name, family.samples) == ("took_seconds", [])
