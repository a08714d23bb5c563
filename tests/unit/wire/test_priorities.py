"""The queues beside a queue, one for each priority."""

from __future__ import annotations

import pytest

from swarmfn.wire.priorities import PRIORITIES, is_priority_queue, priority_queue, priority_queues, split_priority


def test_they_are_served_in_this_order() -> None:
    assert priority_queues("echo") == ("echo:high", "echo", "echo:low")


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_queue_of_a_priority_is_known_by_its_name(priority: str) -> None:
    name = priority_queue("echo", priority)
    assert split_priority(name) == ("echo", priority)
    assert is_priority_queue(name) is (priority != "normal")


@pytest.mark.parametrize("name", ["echo", "high", "low", "a:b", "echo:higher", "echo:HIGH", ""])
def test_any_other_name_is_a_queue_of_its_own(name: str) -> None:
    assert split_priority(name) == (name, "normal")
