"""The budget for request bodies: who has room, and who is refused."""

from __future__ import annotations

import pytest

from gateway.invoke.body_budget import BodyBudget
from swarmfn.wire.errors import Unavailable

MIB = 1 << 20


def test_one_address_has_half_of_it_and_another_the_rest() -> None:
    bodies = BodyBudget(10 * MIB)
    first = bodies.hold("10.0.0.1", 4 * MIB)
    with pytest.raises(Unavailable, match="from this address") as refused:
        bodies.hold("10.0.0.1", 2 * MIB)
    assert refused.value.retry_after > 0
    bodies.hold("10.0.0.2", 6 * MIB)
    with pytest.raises(Unavailable, match="upload_budget"):
        bodies.hold("10.0.0.3", 1 * MIB)
    assert (bodies.used, bodies.refused) == (10 * MIB, 2)
    first.release()
    first.release()
    assert bodies.used == 6 * MIB
    bodies.hold("10.0.0.1", 4 * MIB)


def test_one_body_alone_may_have_all_of_it() -> None:
    with BodyBudget(10 * MIB).hold("10.0.0.1", 10 * MIB):
        pass


def test_a_body_of_unknown_length_is_counted_as_it_comes() -> None:
    bodies = BodyBudget(10 * MIB)
    with bodies.hold("10.0.0.1", 0) as held:
        held.grow_to(7 * MIB)
        held.grow_to(6 * MIB)
        assert bodies.used == 7 * MIB
        with pytest.raises(Unavailable):
            held.grow_to(11 * MIB)
        assert bodies.used == 7 * MIB
    assert bodies.used == 0


def test_large_bodies_leave_room_for_small_ones() -> None:
    bodies = BodyBudget(8 * MIB)
    bodies.hold("10.0.0.1", 8 * MIB)
    for _ in range(16):
        bodies.hold("10.0.0.2", 65536)
    with pytest.raises(Unavailable):
        bodies.hold("10.0.0.3", 65536)
