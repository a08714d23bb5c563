"""Room for callbacks, by receiver."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from worker.receivers import Receivers


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def receivers(now: list[float]) -> Receivers:
    return Receivers(each=4, total=80, clock=lambda: now[0])


def fill(receivers: Receivers, stack: ExitStack, place: str) -> int:
    """Offers to `place` until it has no more room; how many there are."""
    number = 0
    while receivers.wait_for_room(place) is None:
        stack.enter_context(receivers.offering(place))
        number += 1
    return number


def test_a_receiver_has_its_room_and_leaves_the_others_theirs(receivers: Receivers) -> None:
    with ExitStack() as stack:
        assert fill(receivers, stack, "dead:80") == 4
        assert fill(receivers, stack, "other:80") == 4
        assert receivers.wait_for_room("third:80") is None
    assert receivers.wait_for_room("dead:80") is None


def test_many_receivers_that_hang_leave_room_for_one_more(receivers: Receivers) -> None:
    with ExitStack() as stack:
        rooms = [fill(receivers, stack, f"dead{number}:80") for number in range(25)]
        assert rooms[0] == 4
        assert rooms[-1] == 1
        assert sum(rooms) < 80


def test_what_is_put_off_comes_back_one_after_the_other(receivers: Receivers, now: list[float]) -> None:
    with ExitStack() as stack:
        fill(receivers, stack, "slow:80")
        waits = [receivers.wait_for_room("slow:80") or 0.0 for _ in range(8)]
    assert waits == pytest.approx([0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25])


def test_waits_follow_how_long_the_receiver_takes(receivers: Receivers, now: list[float]) -> None:
    with ExitStack() as stack:
        stack.enter_context(receivers.offering("quick:80"))
        for _ in range(50):
            with receivers.offering("quick:80"):
                now[0] += 0.04
        fill(receivers, stack, "quick:80")
        assert [receivers.wait_for_room("quick:80") for _ in range(10)] == [0.2] * 10
        now[0] += 30
    with ExitStack() as stack:
        fill(receivers, stack, "hanging:80")
        waits = [receivers.wait_for_room("hanging:80") or 0.0 for _ in range(10_000)]
        assert max(waits) <= 30
        assert min(waits[1000:]) >= 15


def test_nothing_is_remembered_of_receivers_that_are_idle(receivers: Receivers) -> None:
    for number in range(1000):
        with receivers.offering(f"r{number}:80"):
            pass
    assert not receivers._known
    assert receivers._in_flight == 0


def test_in_a_burst_nothing_is_put_off() -> None:
    receivers = Receivers.unlimited()
    with ExitStack() as stack:
        for _ in range(100):
            assert receivers.wait_for_room("any:80") is None
            stack.enter_context(receivers.offering("any:80"))
