"""A service and its tasks as one row of the status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stack.status import FunctionLine
from stack.swarm.observe import ServiceRow, SwarmStatus, service_row, with_missing
from swarmfn.provider.swarm.tasks import Task

URL = "http://10.0.0.1:8080"
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def service(replicas: int = 2, update: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"Spec": {"Name": "swarmfn_worker", "Mode": {"Replicated": {"Replicas": replicas}}}}
    if update:
        found["UpdateStatus"] = {"State": update}
    return found


def task(state: str = "running", is_wanted: bool = True, node: str = "n1", second: int = 0, error: str = "") -> Task:
    since = f"2026-01-31T11:59:{second:02}.123456789Z"
    return Task(f"{state}{second}", "s1", node, state, is_wanted, since=since, error=error)


def row(service: Any, *tasks: Task, unreachable: tuple[str, ...] = ()) -> ServiceRow:
    return service_row(service, tasks, unreachable, NOW)


def test_all_replicas_running_is_no_problem() -> None:
    found = row(service(), task(second=10), task(second=50), task("failed", False, second=5))
    assert found == ServiceRow("swarmfn_worker", "running", 2, 2, 10.0, 1, "", True)


def test_what_holds_a_replica_up_comes_before_how_one_ended() -> None:
    waiting = task("pending", error="no suitable node (scheduling constraints not satisfied on 1 node)")
    failed = task("failed", False, error="task: non-zero exit (1)")
    assert row(service(), task(), waiting, failed).problem == (
        "1 of 2 replicas run: no node can take it: no suitable node (scheduling constraints not satisfied on 1 node)"
    )


def test_the_last_failure_is_told() -> None:
    found = row(
        service(1),
        task("starting", second=20),
        task("rejected", False, second=1, error="No such image: x:1"),
        task("failed", False, second=9, error="task: non-zero exit (137): dockerexec: unhealthy container"),
    )
    assert found.problem == "0 of 1 replicas run: its health check failed"
    assert (found.state, found.restarts, found.uptime) == ("starting", 2, 0.0)


def test_a_replica_that_has_never_failed_is_where_it_is() -> None:
    assert row(service(1), task("preparing")).problem == "0 of 1 replicas run: a replica is preparing"
    assert row(service(1)).problem == "0 of 1 replicas run"


def test_replicas_on_a_node_that_is_down_do_not_count() -> None:
    found = row(service(2), task(node="n1"), task(node="n2", second=1), unreachable=("n2",))
    assert (found.available, found.problem) == (1, "1 of 2 replicas run: their node is down")


def test_a_replica_that_is_to_stop_does_not_count() -> None:
    assert row(service(1), task(is_wanted=False)).available == 0


@pytest.mark.parametrize(
    ("update", "state", "problem"),
    [
        ("updating", "updating", ""),
        ("completed", "running", ""),
        ("rollback_started", "rolling back", "the last update failed and is taken back"),
        ("rollback_completed", "running", "the last update failed and was taken back"),
        ("paused", "running", "the last update failed and is paused"),
    ],
)
def test_updates_show(update: str, state: str, problem: str) -> None:
    found = row(service(1, update), task())
    assert (found.state, found.problem) == (state, problem)


@pytest.mark.parametrize(
    ("update", "wanted", "is_ready"),
    [("rollback_completed", 1, True), ("rollback_completed", 2, False), ("paused", 1, False), ("completed", 2, False)],
)
def test_a_service_that_went_back_to_what_it_was_is_ready(update: str, wanted: int, is_ready: bool) -> None:
    assert row(service(wanted, update), task()).is_ready is is_ready


def test_a_service_that_is_not_there_shows() -> None:
    found = with_missing([row(service(1), task())], {"swarmfn_worker", "redis"})
    assert [(line.name, line.state, line.is_ready) for line in found] == [
        ("redis", "missing", False),
        ("swarmfn_worker", "running", True),
    ]
    assert not SwarmStatus(URL, URL, "swarmfn", (1, 1), found, ()).is_healthy
    assert with_missing([], {"redis"}) == []


def test_a_failed_update_says_why() -> None:
    found = row(service(1, "rollback_completed"), task(), task("failed", False, error="task: non-zero exit (2)"))
    assert found.problem == "the last update failed and was taken back: exited with status 2"


def test_scaled_to_nothing_is_no_problem() -> None:
    assert row(service(0)) == ServiceRow("swarmfn_worker", "scaled to 0", 0, 0, 0.0, 0, "", True)


def test_a_service_on_every_node_wants_as_many_as_there_are_tasks() -> None:
    everywhere = {"Spec": {"Name": "x", "Mode": {"Global": {}}}}
    found = row(everywhere, task(second=1), task("starting", second=2), task("failed", False))
    assert (found.available, found.replicas) == (1, 2)


GOOD = ServiceRow("gateway", "running", 1, 1, 61.0, 0, "", True)
BAD = ServiceRow("redis", "starting", 0, 1, 0.0, 3, "0 of 1 replicas run: exited with status 1", False)


def test_the_tables_show_services_functions_and_nodes() -> None:
    lines = [FunctionLine("echo", 2, 2, "")]
    assert SwarmStatus(URL, URL, "swarmfn", (2, 3), [GOOD, BAD], lines).rendered() == (
        "gateway http://10.0.0.1:8080   stack swarmfn   3 nodes, 1 down\n\n"
        "SERVICE   STATE      REPLICAS   UPTIME   RESTARTS   PROBLEM\n"
        "gateway   running    1/1        1m1s     0\n"
        "redis     starting   0/1        0s       3          0 of 1 replicas run: exited with status 1\n\n"
        "FUNCTION   REPLICAS   PROBLEM\n"
        "echo       2/2"
    )


def test_health_is_that_of_the_services_and_nothing_is_not_healthy() -> None:
    in_trouble = [FunctionLine("echo", 0, 1, "0 of 1 replicas run")]
    assert SwarmStatus("", "", "swarmfn", (1, 1), [GOOD], in_trouble).is_healthy
    assert not SwarmStatus("", "", "swarmfn", (1, 1), [GOOD, BAD], []).is_healthy
    nothing = SwarmStatus("", "", "swarmfn", (1, 1), [], [])
    assert not nothing.is_healthy
    assert nothing.rendered() == 'nothing of the stack "swarmfn" is running in this swarm'


def test_machines_read_the_same() -> None:
    status = SwarmStatus(URL, URL, "swarmfn", (1, 1), [GOOD], [], compose_files=["/compose.yml", "/more.yml"])
    assert "\nmade from /compose.yml, /more.yml\n" in status.rendered()
    found = status.to_json()
    assert found["compose_files"] == ["/compose.yml", "/more.yml"]
    assert found["healthy"] is True
    assert found["nodes"] == {"reachable": 1, "all": 1}
    assert found["services"][0]["available"] == 1
