"""Tasks as the engine lists them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from swarmfn.provider.swarm.documents import NodeDocument, TaskDocument
from swarmfn.provider.swarm.tasks import Task, latest_failure, read_tasks, unreachable_nodes
from swarmfn.wire.swarm_labels import NETWORK_LABEL, NETWORK_VALUE


def read(**changed: Any) -> Task:
    (task,) = read_tasks([cast("TaskDocument", {"ID": "t", **changed})])
    return task


def attachment(address: str, ingress: bool = False, functions: bool = False) -> dict[str, Any]:
    labels = {NETWORK_LABEL: NETWORK_VALUE} if functions else {}
    return {"Network": {"Spec": {"Ingress": ingress, "Labels": labels}}, "Addresses": [f"{address}/24"]}


def test_what_is_missing_is_empty() -> None:
    bare = Task("t", "", "", "", is_wanted=False)
    assert read() == bare
    assert read(Status=None, NetworksAttachments=None) == bare
    assert read(Status={"ContainerStatus": None}) == bare
    assert read(Status={"ContainerStatus": {}}, NetworksAttachments=[{}]) == bare


def test_everything_that_is_there_is_read() -> None:
    status = {
        "State": "failed",
        "Timestamp": "2026-01-31T12:00:00Z",
        "Err": "task: non-zero exit (3)",
        "ContainerStatus": {"ExitCode": 3},
    }
    found = read(ServiceID="s", NodeID="n", DesiredState="shutdown", Status=status)
    assert found == Task(
        "t", "s", "n", "failed", False, "", "2026-01-31T12:00:00Z", "task: non-zero exit (3)", exit_code=3
    )
    assert [read(DesiredState=state).is_wanted for state in ("running", "ready", "shutdown", "")] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("attachments", "ip"),
    [
        ([attachment("10.0.0.1")], "10.0.0.1"),
        ([attachment("10.0.0.1", ingress=True)], ""),
        ([attachment("10.0.0.1", ingress=True), attachment("10.0.0.2")], "10.0.0.2"),
        ([attachment("10.0.0.1"), attachment("10.0.0.2", functions=True)], "10.0.0.2"),
        ([attachment("10.0.0.2", functions=True), attachment("10.0.0.1")], "10.0.0.2"),
        ([attachment("10.0.0.1"), attachment("10.0.0.2")], "10.0.0.1"),
    ],
)
def test_the_address_in_the_functions_network_goes_first(attachments: list[dict[str, Any]], ip: str) -> None:
    assert read(NetworksAttachments=attachments).ip == ip


def test_only_healthy_tasks_on_nodes_that_are_reached_serve() -> None:
    serving = Task("t", "s", "n", "running", is_wanted=True, ip="10.0.0.1")
    assert serving.is_serving(())
    assert serving.is_serving(("other",))
    assert not serving.is_serving(("n",))
    assert not Task("t", "s", "n", "running", is_wanted=False, ip="10.0.0.1").is_serving(())
    assert not Task("t", "s", "n", "starting", is_wanted=True, ip="10.0.0.1").is_serving(())
    assert not Task("t", "s", "n", "running", is_wanted=True).is_serving(())


def test_one_that_no_node_takes_waits() -> None:
    assert Task("t", "s", "", "pending", is_wanted=True, error="no suitable node").is_waiting
    assert not Task("t", "s", "", "pending", is_wanted=True).is_waiting
    assert not Task("t", "s", "", "pending", is_wanted=False, error="no suitable node").is_waiting
    assert not Task("t", "s", "n", "running", is_wanted=True, error="no suitable node").is_waiting


@pytest.mark.parametrize(
    ("state", "is_wanted", "since", "began"),
    [
        ("starting", True, "1970-01-01T00:01:00.123456789Z", 60.0),
        ("starting", False, "1970-01-01T00:01:00.123456789Z", None),
        ("running", True, "1970-01-01T00:01:00.123456789Z", None),
        ("starting", True, "", None),
        ("starting", True, "recently", None),
    ],
)
def test_since_when_it_starts(state: str, is_wanted: bool, since: str, began: float | None) -> None:
    assert Task("t", "s", "n", state, is_wanted, since=since).starting_since == began


def test_nodes_that_are_down_or_cut_off_cannot_be_reached() -> None:
    states = {"a": "ready", "b": "down", "c": "disconnected", "d": "unknown"}
    nodes: list[Any] = [{"ID": name, "Status": {"State": state}} for name, state in states.items()]
    assert unreachable_nodes(cast("list[NodeDocument]", [*nodes, {"ID": "e"}])) == {"b", "c"}


def test_the_latest_failure_is_by_time_and_only_of_those_that_failed() -> None:
    tasks = [
        Task("1", "s", "n", "failed", False, since="2026-01-01"),
        Task("2", "s", "n", "rejected", False, since="2026-01-03"),
        Task("3", "s", "n", "complete", False, since="2026-01-02"),
        Task("4", "s", "n", "running", True, since="2026-01-04"),
        Task("5", "s", "n", "shutdown", False, since="2026-01-05"),
    ]
    found = latest_failure(tasks)
    assert found is not None
    assert found.id == "2"
    assert latest_failure(tasks[3:]) is None
