"""Whether a service is what it should be, and what helps when it is not."""

from __future__ import annotations

from typing import Any

import pytest

from stack.swarm.failures import hint_for
from stack.swarm.spec import TASK_MARK
from stack.swarm.tasks import Hopeless, Ready, Verdict, Waiting, judge, read_tasks

NEW, OLD = "new", "old"


def entry(number: int, state: str, mark: str = NEW, desired: str = "running", error: str = "") -> Any:
    """A task as the engine lists it; the higher the number the newer."""
    return {
        "ID": f"t{number}",
        "ServiceID": "s",
        "NodeID": "n",
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Labels": {TASK_MARK: mark} if mark else None}},
        "Status": {
            "State": state,
            "Timestamp": f"2026-01-01T00:00:{number:02}Z",
            "ContainerStatus": {"ContainerID": f"c{number}"},
            **({"Err": error} if error else {}),
        },
    }


def verdict(*entries: Any, replicas: int = 1, update: str = "", known: tuple[str, ...] = ()) -> Verdict:
    return judge(read_tasks(entries), NEW, replicas, update, known)


def test_tasks_are_read_the_newest_first() -> None:
    tasks = read_tasks([entry(1, "failed", error="task: non-zero exit (1)"), entry(2, "running", desired="shutdown")])
    assert [(task.id, task.error, task.container, task.is_running) for task in tasks] == [
        ("t2", "", "c2", False),
        ("t1", "non-zero exit (1)", "c1", False),
    ]


def test_every_replica_has_to_run() -> None:
    assert verdict(entry(1, "running"), entry(2, "running"), replicas=2) == Ready()
    assert verdict(entry(1, "running"), entry(2, "starting"), replicas=2) == Waiting("a replica is starting")
    assert verdict(replicas=0) == Ready()
    assert verdict() == Waiting("no replica was started yet")


def test_replicas_of_before_do_not_count_and_have_to_be_gone() -> None:
    assert verdict(entry(1, "running", OLD)) == Waiting("the replica before is still finishing what it runs")
    assert verdict(entry(1, "running", OLD), entry(2, "running")) == Waiting("replicas are replaced")
    assert verdict(entry(1, "shutdown", OLD, "shutdown"), entry(2, "running")) == Ready()
    # The last one is on its way out: Swarm has told it to end, and it gets no more calls.
    assert verdict(entry(1, "running", OLD, "shutdown"), entry(2, "running")) == Ready()


@pytest.mark.parametrize(
    ("state", "error", "enough"),
    [
        ("failed", "task: non-zero exit (1)", 3),
        ("complete", "", 2),
        ("failed", "task: non-zero exit (2)", 1),
        ("rejected", "No such image: x", 2),
        ("failed", "task: unhealthy container", 2),
    ],
)
def test_what_would_go_on_failing_is_given_up(state: str, error: str, enough: int) -> None:
    entries = [entry(number, state, error=error, desired="shutdown") for number in range(enough)]
    assert isinstance(verdict(*entries[1:]), Waiting)
    found = verdict(*entries)
    assert isinstance(found, Hopeless)
    assert found.task is not None
    assert found.task.id == f"t{enough - 1}"
    assert error.removeprefix("task: ") in found.reason


def test_failures_of_long_ago_do_not_count() -> None:
    entries = [entry(number, "failed", error="x") for number in range(4)]
    assert isinstance(verdict(*entries), Hopeless)
    assert verdict(*entries, entry(5, "running"), known=("t0", "t1", "t2", "t3")) == Ready()


@pytest.mark.parametrize("update", ["rollback_started", "rollback_completed", "rollback_paused", "paused"])
def test_an_update_that_swarm_gave_up_is_over(update: str) -> None:
    found = verdict(entry(1, "running", OLD), entry(2, "failed", error="task: unhealthy container"), update=update)
    assert found == Hopeless("unhealthy container", read_tasks([entry(2, "failed", error="unhealthy container")])[0])
    assert isinstance(verdict(entry(1, "running", OLD), update=update), Hopeless)


def test_no_suitable_node_is_no_reason_to_wait_long_unless_the_old_replica_holds_the_place() -> None:
    error = "no suitable node (host-mode port already in use on 1 node)"
    assert verdict(entry(1, "pending", error=error)) == Waiting(error, is_stuck=True)
    assert verdict(entry(1, "running", OLD, "shutdown"), entry(2, "pending", error=error)) == Waiting(
        "replicas are replaced"
    )


def spec(constraints: tuple[str, ...] = ()) -> Any:
    return {
        "Name": "swarmfn_gateway",
        "TaskTemplate": {"ContainerSpec": {"Image": "gone:1"}, "Placement": {"Constraints": list(constraints)}},
        "EndpointSpec": {"Ports": [{"PublishedPort": 8080}]},
    }


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("No such image: gone:1", "The node has no image gone:1 and cannot pull it"),
        ("no suitable node (host-mode port already in use on 1 node)", "such as --port 8081"),
        ("driver failed programming: Bind for 0.0.0.0:8080 failed: port is already allocated", "Port 8080 of the node"),
        (
            "no suitable node (scheduling constraints not satisfied on 1 node)",
            "No node fulfils node.labels.disk == ssd",
        ),
        ("no suitable node (insufficient resources on 1 node)", "to spare"),
        ("non-zero exit (2)", "It refuses its settings"),
        ("unhealthy container", ""),
    ],
)
def test_a_reason_comes_with_what_helps(reason: str, hint: str) -> None:
    found = hint_for(reason, spec(("node.labels.disk == ssd",)))
    assert hint in found
    assert bool(found) == bool(hint)
