"""Rows of the replica table, from what the engine lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from swarmfn.provider.swarm.deployed import NO_UPDATE, Deployed, Update
from swarmfn.provider.swarm.diagnosis import Failure, describe
from swarmfn.provider.swarm.documents import NodeDocument, TaskDocument, TaskTemplate
from swarmfn.provider.swarm.replica_rows import Clock, Cluster, replica_table, status
from swarmfn.provider.swarm.tasks import Task, latest_failure, read_tasks, unreachable_nodes
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.replicas import Route
from swarmfn.wire.rollouts import Rollout

CLOCK = Clock(now=datetime(2026, 1, 31, 12, 1, 30, tzinfo=UTC).timestamp(), start_timeout=300.0)


def deployed(replicas: int | None = 2, update: Update = NO_UPDATE) -> Deployed:
    return Deployed(FunctionSpec("echo", "i"), "service", "echo", replicas, "2026-01-31T12:00:00Z", 60.0, (), update)


def task(number: int, state: str = "running", **more: Any) -> Task:
    fields: dict[str, Any] = {"node_id": "node", "is_wanted": True, "ip": f"10.0.0.{number}", **more}
    return Task(f"task-{number}", "service", state=state, **fields)


def row(
    tasks: list[Task],
    function: Deployed | None = None,
    admitted: bool = True,
    failure: Failure | None = None,
    down: frozenset[str] = frozenset(),
    lost: tuple[str, ...] = (),
) -> Route:
    cluster = Cluster({"echo": function or deployed()}, tuple(tasks), down)
    failures = {"echo": failure} if failure else {}
    return replica_table(cluster, lambda _task: admitted, failures, {"echo": lost}, CLOCK)["echo"]


def test_healthy_replicas_are_in_the_table_in_a_fixed_order() -> None:
    found = row([task(2), task(1), task(3, "starting"), task(4, is_wanted=False), task(5, ip="")])
    assert found.addresses == ("10.0.0.1:8080", "10.0.0.2:8080")
    assert (found.replicas, found.problem, found.queue, found.exec_timeout) == (2, "", "echo", 60.0)


def test_tasks_of_other_services_are_not_mixed_in() -> None:
    assert row([Task("x", "other", "node", "running", True, "10.0.0.9")]).addresses == ()


def test_replicas_on_a_node_that_is_lost_leave_the_table_at_once() -> None:
    found = row([task(1), task(2, node_id="lost")], down=frozenset({"lost"}))
    assert found.addresses == ("10.0.0.1:8080",)
    nodes: list[NodeDocument] = [
        {"ID": name, "Status": {"State": name}} for name in ("ready", "down", "disconnected", "unknown")
    ]
    assert unreachable_nodes(nodes) == {"down", "disconnected"}


def test_a_replica_that_takes_its_time_is_no_failure_but_said() -> None:
    since = "2026-01-31T12:00:45.123456789Z"
    found = row([task(1, "starting", since=since)])
    assert found.problem == "a replica has been getting ready for 40 s, and may take 300 s"
    # Not of interest while others serve, when it has only begun, or once more is known.
    assert row([task(1, "starting", since=since), task(2)]).problem == ""
    assert row([task(1, "starting", since="2026-01-31T12:01:25Z")]).problem == ""
    assert row([task(1, "starting", since="")]).problem == ""
    ended = task(3, "failed", error="task: non-zero exit (1)", is_wanted=False)
    assert row([task(1, "starting", since=since)], failure=Failure(ended)).problem == "exited with status 1"


def test_a_replica_that_accepts_no_connection_is_the_problem() -> None:
    found = row([task(1)], admitted=False)
    assert found.addresses == ()
    assert found.problem == "a replica runs, but accepts no connection at 10.0.0.1:8080"


def test_a_function_scaled_to_none_has_no_problem() -> None:
    assert row([], deployed(0), failure=Failure(task(1, "failed", error="x"))).problem == ""


def test_why_there_is_no_replica() -> None:
    waiting = task(1, "pending", ip="", error="no suitable node")
    failure = Failure(task(2, "failed", error="task: non-zero exit (1)"), "boom")
    assert row([waiting], failure=failure).problem == "no node can take it: no suitable node"
    assert row([], failure=failure).problem == "exited with status 1: boom"
    assert row([task(3)], failure=failure).problem == ""


def test_an_update_shows_what_holds_it_up_though_old_replicas_serve() -> None:
    waiting = task(1, "pending", ip="", error="no suitable node")
    running = deployed(update=Update("updating", "t"))
    assert row([task(2), waiting], running).problem == "no node can take it: no suitable node"
    old = Failure(task(3, "failed", error="task: non-zero exit (1)"))
    assert row([task(2)], running, failure=old).problem == ""
    of_update = Failure(replace(old.task, since="t1"))
    assert row([task(2)], running, failure=of_update).problem == "exited with status 1"
    of_before = Failure(replace(of_update.task, template={"ContainerSpec": {"Image": "before"}}))
    assert row([task(2)], running, failure=of_before).problem == ""


@pytest.mark.parametrize("state", ["rollback_started", "rollback_completed", "rollback_paused", "paused"])
def test_an_update_that_failed_stays_the_problem(state: str) -> None:
    failed = deployed(update=Update(state, "t"))
    failure = Failure(task(1, "rejected", error="No such image: x:latest"))
    assert row([task(2)], failed, failure=failure).problem == (
        "the last update failed and was taken back: No such image: x:latest"
    )
    assert row([task(2)], failed).problem == "the last update failed"


NEW: TaskTemplate = {"ContainerSpec": {"Image": "new"}}
OLD: TaskTemplate = {"ContainerSpec": {"Image": "old"}}


@pytest.mark.parametrize(
    ("tasks", "state", "expected"),
    [
        ([], "", Rollout.RUNNING),
        ([task(1, template=NEW)], "", Rollout.DONE),
        ([task(1, template={**NEW, "Placement": {"Constraints": ["a == b"]}})], "", Rollout.DONE),
        ([task(1, template=OLD)], "", Rollout.RUNNING),
        ([task(1, template=OLD)], "updating", Rollout.RUNNING),
        ([task(1, template=NEW), task(2, template=OLD)], "updating", Rollout.RUNNING),
        ([task(1, template=NEW)], "completed", Rollout.DONE),
        ([task(1, template=OLD)], "rollback_started", Rollout.RUNNING),
        ([task(1, template=NEW)], "rollback_completed", Rollout.TAKEN_BACK),
        ([task(1, template=NEW)], "rollback_paused", Rollout.TAKEN_BACK),
        ([task(1, template=NEW)], "paused", Rollout.TAKEN_BACK),
        ([task(1, "pending", ip="", error="no suitable node", template=NEW)], "", Rollout.FAILING),
    ],
)
def test_how_far_a_change_has_got(tasks: list[Task], state: str, expected: Rollout) -> None:
    assert row(tasks, replace(deployed(update=Update(state, "t")), template=NEW)).rollout is expected


def test_a_replica_that_accepts_no_connection_yet_has_not_failed() -> None:
    failure = Failure(task(2, "failed", error="task: non-zero exit (1)"))
    assert row([task(1)], admitted=False).rollout is Rollout.RUNNING
    assert row([task(1)], admitted=False, failure=failure).rollout is Rollout.FAILING
    assert row([], deployed(0)).rollout is Rollout.DONE


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (task(1, "failed", error="task: non-zero exit (137)"), "was killed by signal 9"),
        (
            task(1, "failed", error="task: non-zero exit (143): dockerexec: unhealthy container"),
            "its health check failed",
        ),
        (task(1, "complete"), "ended with status 0, by itself or because its health check failed"),
        (task(1, "rejected", error="No such image: x"), "No such image: x"),
        (task(1, "failed"), "its task ended as 'failed'"),
    ],
)
def test_endings_in_words(failed: Task, expected: str) -> None:
    assert describe(Failure(failed)) == expected
    assert describe(Failure(failed, "x" * 1000)) == f"{expected}: {'x' * 300}"


def test_the_latest_failure_is_the_one_that_counts() -> None:
    early, late = task(1, "failed", since="2026-01-31T12:00:00.4"), task(2, "complete", since="2026-01-31T12:00:00.41")
    assert latest_failure([late, early, task(3), task(4, "shutdown", since="2027")]) == late
    assert latest_failure([task(1)]) is None


def test_a_function_on_every_node_counts_its_tasks() -> None:
    cluster = Cluster({"echo": deployed(None)}, (task(1), task(2, "starting")))
    table = replica_table(cluster, lambda _task: True, {}, {}, CLOCK)
    found = status(cluster.functions["echo"], cluster, table)
    assert (found.replicas, found.available_replicas, table["echo"].replicas) == (2, 1, 2)


def attachment(address: str, **network: Any) -> Any:
    return {"Network": {"Spec": network}, "Addresses": [address]}


def test_tasks_are_read_as_the_engine_lists_them() -> None:
    attachments = [
        attachment("10.1.0.1/24", Ingress=True),
        attachment("10.2.0.1/24", Name="own"),
        attachment("10.3.0.1/24", Labels={"openfaas": "true"}),
    ]
    document: TaskDocument = {
        "ID": "t",
        "ServiceID": "s",
        "NodeID": "n",
        "DesiredState": "running",
        "Status": {"Timestamp": "2026-01-31T12:00:00Z", "State": "running", "ContainerStatus": {"ExitCode": 0}},
        "NetworksAttachments": attachments,
    }
    (found,) = read_tasks([document])
    assert (found.ip, found.is_wanted, found.service_id, found.node_id) == ("10.3.0.1", True, "s", "n")
    assert read_tasks([{**document, "NetworksAttachments": attachments[:2]}])[0].ip == "10.2.0.1"
    assert read_tasks([{"ID": "new", "DesiredState": "running"}])[0].ip == ""
