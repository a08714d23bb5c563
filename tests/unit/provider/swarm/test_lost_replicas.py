"""Replicas that went with their node, told from those that were stopped."""

from __future__ import annotations

from typing import Any

from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.lost_replicas import KEPT, LostReplicas
from swarmfn.provider.swarm.replica_rows import Clock, Cluster, replica_table
from swarmfn.provider.swarm.tasks import Task
from swarmfn.wire.functions import FunctionSpec

FUNCTIONS = {
    name: Deployed(FunctionSpec(name, "i"), f"service-{name}", name, 2, "2026-01-31T12:00:00Z", 60.0, ())
    for name in ("echo", "other")
}


def cluster(*tasks: Task, down: str = "") -> Cluster:
    return Cluster(FUNCTIONS, tasks, frozenset({down} - {""}))


def task(number: int, node: str, function: str = "echo", **more: Any) -> Task:
    return Task(f"task-{number}", f"service-{function}", node, "running", True, f"10.0.0.{number}", **more)


def test_replicas_are_lost_with_their_node_whether_or_not_they_are_still_listed() -> None:
    lost = LostReplicas()
    here, there, others = task(1, "a"), task(2, "b"), task(3, "b", "other")
    assert lost.note(cluster(here, there, others), 0.0) == {}
    assert lost.note(cluster(here, there, down="b"), 1.0) == {"echo": ("10.0.0.2",), "other": ("10.0.0.3",)}


def test_a_replica_that_was_stopped_is_not_lost() -> None:
    lost = LostReplicas()
    lost.note(cluster(task(1, "a"), task(2, "b")), 0.0)
    assert lost.note(cluster(task(1, "a")), 1.0) == {}


def test_a_node_that_is_back_has_lost_nothing_and_old_losses_are_forgotten() -> None:
    lost = LostReplicas()
    lost.note(cluster(task(2, "b")), 0.0)
    assert lost.note(cluster(down="b"), KEPT - 1) == {"echo": ("10.0.0.2",)}
    assert lost.note(cluster(), KEPT - 1) == {}
    assert lost.note(cluster(down="b"), KEPT) == {}


def test_an_address_that_a_new_replica_has_is_not_lost() -> None:
    lost = LostReplicas()
    lost.note(cluster(task(2, "b")), 0.0)
    assert lost.note(cluster(task(2, "a", "other"), down="b"), 1.0) == {}


def test_the_table_tells_the_lost_addresses() -> None:
    table = replica_table(cluster(task(1, "a")), lambda _task: True, {}, {"echo": ("10.0.0.9", "10.0.0.2")}, Clock(0.0))
    assert table["echo"].lost == ("10.0.0.2:8080", "10.0.0.9:8080")
    assert table["other"].lost == ()
