"""Whose limits hold, and when a refused caller is to come back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.invoke.admission import limits_of, overloaded, retry_after
from swarmfn.jobs.terms import Full, QueueLimits
from swarmfn.wire.policies import Policy
from swarmfn.wire.replicas import Route


def route(**limits: Any) -> Route:
    return Route("echo", (), 1, 60.0, "work", policy=Policy(**limits))


@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        ({}, QueueLimits("work", 100, 60.0)),
        ({"max_depth": 5}, QueueLimits("work", 5, 60.0)),
        ({"max_depth": 0}, QueueLimits("work", 0, 60.0)),
        ({"max_queue_age": 1.0}, QueueLimits("work", 100, 1.0)),
        ({"max_depth": 0, "max_queue_age": 0.0}, None),
    ],
)
def test_a_functions_own_limits_take_the_place_of_the_gateways(
    policy: dict[str, float], limits: QueueLimits | None
) -> None:
    assert limits_of(route(**policy), 100, 60.0) == limits


def test_without_any_there_are_none() -> None:
    assert limits_of(route(), 0, 0.0) is None
    assert limits_of(route(max_depth=1), 0, 0.0) == QueueLimits("work", 1, 0.0)


@pytest.mark.parametrize(
    ("full", "seconds"),
    [
        (Full(by_age=False, depth=100, age=0.0), 1.0),
        (Full(by_age=False, depth=100, age=50.0), 5.0),
        (Full(by_age=False, depth=100, age=1e6), 60.0),
        (Full(by_age=True, depth=1, age=60.5), 1.0),
        (Full(by_age=True, depth=1, age=75.0), 15.0),
        (Full(by_age=True, depth=1, age=1e6), 60.0),
    ],
)
def test_a_caller_comes_back_when_there_may_be_room(full: Full, seconds: float) -> None:
    assert retry_after(full, QueueLimits("work", 100, 60.0)) == seconds


def test_the_answer_names_the_queue_and_the_limit() -> None:
    limits = QueueLimits("work", 100, 90.0)
    by_depth = overloaded(route(), limits, Full(by_age=False, depth=100, age=1.0))
    assert '"work"' in by_depth.message
    assert "its limit is 100 (queue_max_depth)" in by_depth.message
    assert "1m30s (queue_max_age)" in overloaded(route(), limits, Full(by_age=True, depth=3, age=99.0)).message
