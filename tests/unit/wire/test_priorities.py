"""The queues beside a queue, one for each priority."""

from __future__ import annotations

import pytest

from swarmfn.wire.priorities import PRIORITIES, is_lane, lane, lanes, split_lane


def test_they_are_served_in_this_order() -> None:
    assert lanes("echo") == ("echo:high", "echo", "echo:low")


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_queue_of_a_priority_is_known_by_its_name(priority: str) -> None:
    name = lane("echo", priority)
    assert split_lane(name) == ("echo", priority)
    assert is_lane(name) is (priority != "normal")


@pytest.mark.parametrize("name", ["echo", "high", "low", "a:b", "echo:higher", "echo:HIGH", ""])
def test_any_other_name_is_a_queue_of_its_own(name: str) -> None:
    assert split_lane(name) == (name, "normal")
