"""The order in which replicas are tried."""

from __future__ import annotations

from collections import Counter

from swarmfn.upstream.balance import InFlight

ADDRESSES = ("10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080")


def test_the_replica_with_the_fewest_in_flight_comes_first_and_the_busiest_last() -> None:
    counts = InFlight()
    for address, number in zip(ADDRESSES, (2, 0, 1), strict=True):
        for _ in range(number):
            counts.enter(address)
    least_first = [ADDRESSES[1], ADDRESSES[2], ADDRESSES[0]]
    assert [counts.order(ADDRESSES) for _ in range(6)] == [least_first] * 6


def test_replicas_that_are_equally_busy_take_turns() -> None:
    counts = InFlight()
    orders = [counts.order(ADDRESSES) for _ in range(9)]
    assert Counter(order[0] for order in orders) == dict.fromkeys(ADDRESSES, 3)
    assert {frozenset(order) for order in orders} == {frozenset(ADDRESSES)}
    counts.enter(ADDRESSES[0])
    assert {counts.order(ADDRESSES)[0] for _ in range(4)} == set(ADDRESSES[1:])


def test_an_exchange_that_has_ended_counts_no_longer() -> None:
    counts = InFlight()
    for _ in range(2):
        counts.enter(ADDRESSES[0])
    counts.enter(ADDRESSES[1])
    counts.leave(ADDRESSES[0])
    assert {counts.order(ADDRESSES[:2])[0] for _ in range(4)} == set(ADDRESSES[:2])
    counts.leave(ADDRESSES[0])
    assert {counts.order(ADDRESSES[:2])[0] for _ in range(4)} == {ADDRESSES[0]}


def test_a_single_replica_and_none_at_all() -> None:
    counts = InFlight()
    assert counts.order(ADDRESSES[:1]) == [ADDRESSES[0]]
    assert counts.order(()) == []
