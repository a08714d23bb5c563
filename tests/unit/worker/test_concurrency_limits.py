"""Limits by queue, from the replica table."""

from __future__ import annotations

import json

from swarmfn.wire.policies import Policy
from swarmfn.wire.replicas import ReplicaTable, Route
from worker.concurrency_limits import ConcurrencyLimits


def route(name: str, queue: str, concurrency: int = 0) -> Route:
    return Route(name, (), 1, 60.0, queue, policy=Policy(concurrency=concurrency))


def table(*routes: Route) -> ReplicaTable:
    return {route.name: route for route in routes}


def test_a_queue_is_limited_by_the_functions_that_are_on_it() -> None:
    one, two, three = route("one", "shared", 2), route("two", "shared"), route("three", "three", 5)
    limits = ConcurrencyLimits(lambda: table(one, two, three, route("four", "four")))
    assert json.loads(limits.of("shared")) == {"limits": {"one": 2}, "others": True}
    assert json.loads(limits.of("three")) == {"limits": {"three": 5}, "others": False}
    assert limits.of("four") == limits.of("unknown") == ""


def test_another_table_has_other_limits() -> None:
    tables = [table(route("one", "one", 2)), table(route("one", "one"))]
    limits = ConcurrencyLimits(lambda: tables[0])
    assert limits.of("one")
    del tables[0]
    assert limits.of("one") == ""


def test_calls_are_held_where_their_function_is_limited_now() -> None:
    limits = ConcurrencyLimits(lambda: table(route("one", "shared", 2), route("two", "shared")))
    assert limits.holds("one", "shared")
    assert limits.holds("one", "shared:high")
    assert not limits.holds("one", "one")  # it has moved to another queue
    assert not limits.holds("two", "shared")
    assert not limits.holds("gone", "shared")
