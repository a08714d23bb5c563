"""Whether Swarm keeps tasks that ended, as far as lists of tasks show it."""

from __future__ import annotations

from swarmfn.provider.swarm.forgetting import FORGOTTEN, Forgetting
from swarmfn.provider.swarm.tasks import Task


def wanted(number: int) -> Task:
    return Task(f"t{number}", "s", "n", "starting", is_wanted=True)


def failed(number: int) -> Task:
    return Task(f"t{number}", "s", "n", "failed", is_wanted=False, error="task: non-zero exit (1)")


def test_a_task_that_is_gone_before_it_was_seen_to_end_is_forgotten() -> None:
    forgetting = Forgetting()
    assert forgetting.look("f", [wanted(1)], 0.0) is None
    assert forgetting.is_quick is None
    forgotten = forgetting.look("f", [wanted(2)], 1.0)
    assert forgotten is not None
    assert (forgotten.id, forgotten.state, forgotten.error) == ("t1", "gone", FORGOTTEN)
    assert forgetting.is_quick
    assert forgetting.look("f", [wanted(2)], 2.0) is None


def test_a_swarm_that_keeps_them_is_told_by_one_that_stays() -> None:
    forgetting = Forgetting()
    forgetting.look("f", [failed(1), wanted(2)], 0.0)
    forgetting.look("f", [failed(1), wanted(2)], 1.0)
    assert forgetting.is_quick is None
    forgetting.look("f", [failed(1), failed(2), wanted(3)], 2.5)
    assert forgetting.is_quick is False


def test_what_was_not_looked_at_for_a_while_is_not_missed() -> None:
    forgetting = Forgetting()
    forgetting.look("f", [wanted(1)], 0.0)
    forgetting.keep(["g"])
    assert forgetting.look("f", [], 60.0) is None
    assert forgetting.is_quick is None
