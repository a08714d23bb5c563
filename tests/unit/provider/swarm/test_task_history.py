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


def test_only_what_was_to_run_and_had_not_ended_can_be_forgotten() -> None:
    history = TaskHistory()
    failing = Task("t1", "s", "n", "failed", is_wanted=True)
    told_to_stop = Task("t2", "s", "n", "running", is_wanted=False)
    stopped = Task("t3", "s", "n", "shutdown", is_wanted=False)
    history.look("f", [failing, told_to_stop, stopped, failed(4)], 0.0)
    assert history.look("f", [], 1.0) is None
    assert history.forgets_at_once is None


def test_the_last_of_those_that_are_gone_is_told() -> None:
    history = TaskHistory()
    history.look("f", [wanted(1), wanted(2), wanted(3)], 0.0)
    forgotten = history.look("f", [wanted(1)], 1.0)
    assert forgotten is not None
    assert forgotten.id == "t3"


def test_functions_are_not_mixed_up() -> None:
    history = TaskHistory()
    history.look("f", [wanted(1)], 0.0)
    history.look("g", [wanted(2)], 0.0)
    assert history.look("g", [wanted(2)], 1.0) is None
    history.keep(["f"])
    assert history.look("g", [], 2.0) is None
    assert history.look("f", [], 2.0) is not None


def test_a_failure_has_to_stay_for_longer_than_a_swarm_without_a_history_takes() -> None:
    history = TaskHistory()
    history.look("f", [failed(1)], 0.0)
    history.look("f", [failed(1)], 2.0)
    assert history.forgets_at_once is None
    history.look("f", [failed(1)], 2.01)
    assert history.forgets_at_once is False
