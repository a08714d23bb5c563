"""What the local provider decides, from values alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from swarmfn.provider.local.decisions import (
    NO_REPLICAS,
    NO_TROUBLE,
    Action,
    DesiredReplicas,
    Kill,
    Phase,
    Present,
    Retire,
    Start,
    Terminate,
    Timing,
    Trouble,
    decide,
    next_deadline,
)

TIMING = Timing(start_limit=60, retire_pause=0.3, min_backoff=0.25, max_backoff=30, probe_failures=3, stable_after=10)
NOW = 1000.0


def replica(
    replica_id: str,
    phase: Phase = Phase.READY,
    revision: str = "new",
    age: float = 20.0,
    drain: float = 5.0,
    failed_probes: int = 0,
) -> Present:
    return Present(replica_id, revision, phase, NOW - age, drain, failed_probes)


def decided(
    wanted: int, present: Sequence[Present], trouble: Trouble = NO_TROUBLE, can_start: bool = True
) -> set[Action]:
    return set(decide(DesiredReplicas(wanted, "new", can_start), present, trouble, NOW, TIMING))


def test_missing_replicas_are_started_together() -> None:
    assert decided(3, [replica("a")]) == {Start(2)}


def test_enough_replicas_need_nothing() -> None:
    assert decided(2, [replica("a"), replica("b", Phase.STARTING)]) == set()


def test_nothing_starts_while_requirements_are_being_installed() -> None:
    assert decided(2, [], can_start=False) == set()


def test_replicas_on_their_way_out_do_not_count() -> None:
    leaving = [replica("a", Phase.RETIRING, age=0), replica("b", Phase.STOPPING, age=0), replica("c", Phase.KILLED)]
    assert decided(1, leaving) == {Start(1)}


def test_scaling_down_retires_the_youngest() -> None:
    assert decided(1, [replica("old", age=50), replica("young", age=5)]) == {Retire("young")}


def test_scaling_down_first_ends_what_never_served() -> None:
    assert decided(1, [replica("ready", age=5), replica("starting", Phase.STARTING, age=1)]) == {Kill("starting")}


def test_scaling_to_zero_retires_all() -> None:
    assert decided(0, [replica("a"), replica("b")]) == {Retire("a"), Retire("b")}


def test_an_update_starts_new_replicas_and_keeps_the_old() -> None:
    assert decided(2, [replica("a", revision="old"), replica("b", revision="old")]) == {Start(2)}


def test_an_old_replica_goes_for_each_new_one_that_is_healthy() -> None:
    present = [
        replica("a", revision="old"),
        replica("b", revision="old"),
        replica("c", Phase.READY, age=0),
        replica("d", Phase.STARTING, age=0),
    ]
    assert decided(2, present) == {Retire("b")}


def test_the_last_old_replicas_go_when_all_new_ones_are_healthy() -> None:
    assert decided(1, [replica("a", revision="old"), replica("b", age=0)]) == {Retire("a")}


def test_an_old_replica_that_never_served_is_ended_at_once() -> None:
    assert decided(1, [replica("a", Phase.STARTING, revision="old", age=1)]) == {Start(1), Kill("a")}


def test_old_replicas_serve_on_while_new_ones_fail() -> None:
    trouble = Trouble(failures=4, last=NOW - 0.1, reason="exited")
    assert decided(1, [replica("a", revision="old")], trouble) == set()


def test_a_failure_delays_the_next_start() -> None:
    assert decided(1, [], Trouble(failures=2, last=NOW - 0.4)) == set()
    assert decided(1, [], Trouble(failures=2, last=NOW - 0.5)) == {Start(1)}


def test_after_a_failure_replicas_are_tried_one_at_a_time() -> None:
    trouble = Trouble(failures=1, last=NOW - 5)
    assert decided(3, [], trouble) == {Start(1)}
    assert decided(3, [replica("a", Phase.STARTING, age=1)], trouble) == set()
    assert decided(3, [replica("a")], trouble) == {Start(1)}


def test_a_replica_that_does_not_become_healthy_in_time_is_killed_as_a_failure() -> None:
    assert decided(1, [replica("a", Phase.STARTING, age=60)]) == {Kill("a", is_failure=True), Start(1)}
    assert decided(1, [replica("a", Phase.STARTING, age=59)]) == set()


def test_a_sick_replica_is_replaced() -> None:
    assert decided(1, [replica("a", failed_probes=3)]) == {Retire("a", is_failure=True), Start(1)}
    assert decided(1, [replica("a", failed_probes=2)]) == set()


def test_a_retired_replica_is_told_to_stop_after_a_pause() -> None:
    assert decided(0, [replica("a", Phase.RETIRING, age=0.1)]) == set()
    assert decided(0, [replica("a", Phase.RETIRING, age=0.4)]) == {Terminate("a")}


def test_a_stopping_replica_is_killed_only_after_its_own_drain_time() -> None:
    assert decided(0, [replica("a", Phase.STOPPING, age=299, drain=300)]) == set()
    assert decided(0, [replica("a", Phase.STOPPING, age=300, drain=300)]) == {Kill("a")}


def test_a_removed_function_loses_all_replicas() -> None:
    present = [replica("a"), replica("b", Phase.STARTING, age=1), replica("c", Phase.STOPPING, age=1)]
    assert set(decide(NO_REPLICAS, present, NO_TROUBLE, NOW, TIMING)) == {Retire("a"), Kill("b")}


def test_each_replica_gets_at_most_one_action() -> None:
    """Whatever is there, nothing is both killed and retired."""
    present = [
        replica(f"{phase.value}-{revision}-{age}", phase, revision, age, failed_probes=failures)
        for phase in Phase
        for revision in ("new", "old")
        for age in (0.0, 100.0)
        for failures in (0, 3)
    ]
    present = [Present(f"{r.id}-{index}", *list(vars(r).values())[1:]) for index, r in enumerate(present)]
    for count in range(6):
        actions = decide(DesiredReplicas(count, "new"), present, NO_TROUBLE, NOW, TIMING)
        touched = [action.id for action in actions if not isinstance(action, Start)]
        assert len(touched) == len(set(touched))


def test_backoff_doubles_up_to_its_limit() -> None:
    assert [TIMING.backoff(n) for n in (1, 2, 3, 4, 8, 9, 5000)] == [0.25, 0.5, 1, 2, 30, 30, 30]


@pytest.mark.parametrize(
    ("present", "trouble", "expected"),
    [
        ([], NO_TROUBLE, None),
        ([replica("a", Phase.STARTING, age=10)], NO_TROUBLE, NOW + 50),
        ([replica("a", Phase.RETIRING, age=0.1)], NO_TROUBLE, NOW + 0.2),
        ([replica("a", Phase.STOPPING, age=1, drain=5)], NO_TROUBLE, NOW + 4),
        ([replica("a", Phase.KILLED)], NO_TROUBLE, None),
        ([], Trouble(failures=3, last=NOW - 0.5), NOW + 0.5),
        ([replica("a", Phase.READY, age=4)], NO_TROUBLE, NOW + 6),
        ([replica("a", Phase.READY, age=11)], NO_TROUBLE, None),
    ],
)
def test_the_next_deadline_is_when_time_alone_changes_the_decision(
    present: list[Present], trouble: Trouble, expected: float | None
) -> None:
    deadline = next_deadline(present, trouble, NOW, TIMING)
    assert deadline == (None if expected is None else pytest.approx(expected))
