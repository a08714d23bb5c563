"""Whether Swarm keeps tasks that ended, as far as lists of tasks show it."""

from __future__ import annotations

from swarmfn.provider.swarm.task_history import FORGOTTEN, TaskHistory
from swarmfn.provider.swarm.tasks import Task


def wanted(number: int) -> Task:
    return Task(f"t{number}", "s", "n", "starting", is_wanted=True)


def failed(number: int) -> Task:
    return Task(f"t{number}", "s", "n", "failed", is_wanted=False, error="task: non-zero exit (1)")


def test_a_task_that_is_gone_before_it_was_seen_to_end_is_forgotten() -> None:
    history = TaskHistory()
    assert history.look("f", [wanted(1)], 0.0) is None
    assert history.forgets_at_once is None
    forgotten = history.look("f", [wanted(2)], 1.0)
    assert forgotten is not None
    assert (forgotten.id, forgotten.state, forgotten.error) == ("t1", "gone", FORGOTTEN)
    assert history.forgets_at_once
    assert history.look("f", [wanted(2)], 2.0) is None


def test_a_swarm_that_keeps_them_is_told_by_one_that_stays() -> None:
    history = TaskHistory()
    history.look("f", [failed(1), wanted(2)], 0.0)
    history.look("f", [failed(1), wanted(2)], 1.0)
    assert history.forgets_at_once is None
    history.look("f", [failed(1), failed(2), wanted(3)], 2.5)
    assert history.forgets_at_once is False


def test_what_was_not_looked_at_for_a_while_is_not_missed() -> None:
    history = TaskHistory()
    history.look("f", [wanted(1)], 0.0)
    history.keep(["g"])
    assert history.look("f", [], 60.0) is None
    assert history.forgets_at_once is None
