"""How long something that failed is left alone."""

from __future__ import annotations

import pytest

from swarmfn.backoff import backoff, failures_in_a_row


@pytest.mark.parametrize(("failures", "wait"), [(1, 0.2), (2, 0.4), (5, 3.2), (8, 25.6), (9, 30.0), (20_000, 30.0)])
def test_the_wait_doubles_with_each_failure_up_to_the_longest(failures: int, wait: float) -> None:
    assert backoff(failures, 0.2, 30.0) == wait


def test_a_shortest_wait_above_the_longest_is_cut_to_it() -> None:
    assert backoff(1, 5.0, 2.0) == 2.0


@pytest.mark.parametrize(("lasted", "count"), [(0.0, 4), (9.9, 4), (10.0, 1), (3600.0, 1)])
def test_failures_are_counted_anew_after_a_run_that_was_well(lasted: float, count: int) -> None:
    assert failures_in_a_row(3, lasted, well_after=10.0) == count
