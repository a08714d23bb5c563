"""Deploy, list, show, update, delete and scale, as OpenFaaS's clients do it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess

FUNCTION = {"service": "echo", "image": "docker.io/any/echo:1", "envProcess": "cat"}

EVERYTHING: dict[str, Any] = {
    "service": "full",
    "image": "docker.io/any/full:1.2",
    "namespace": "openfaas-fn",
    "envProcess": "cat",
    "envVars": {"exec_timeout": "5s", "greeting": "Grüß Gott"},
    "labels": {"com.openfaas.scale.min": "1", "faas_function": "full", "team": "a"},
    "annotations": {"topic": "orders", "policy": '{"json": ["text", 1]}'},
    "constraints": ["node.platform.os == linux"],
    "limits": {"memory": "128Mi", "cpu": "100m"},
    "requests": {"memory": "40m", "cpu": "0.5"},
}


def functions(gateway: GatewayProcess, query: str = "") -> list[dict[str, Any]]:
    response = gateway.get("/system/functions" + query)
    assert response.status_code == 200
    return list(response.json())


def test_nothing_deployed_is_an_empty_list_and_not_null(gateway: GatewayProcess) -> None:
    assert functions(gateway) == []


def test_the_way_of_faas_cli_put_then_post_deploys(gateway: GatewayProcess) -> None:
    assert gateway.request("PUT", "/system/functions", json=FUNCTION).status_code == 404
    assert gateway.post("/system/functions", json=FUNCTION).status_code == 202
    assert gateway.request("PUT", "/system/functions", json=FUNCTION).status_code == 202
    assert [status["name"] for status in functions(gateway)] == ["echo"]


def test_deploying_what_exists_is_a_conflict_that_changes_nothing(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.post("/system/functions", json={**FUNCTION, "envProcess": "wc"})
    assert response.status_code == 409
    assert "echo" in response.text
    assert functions(gateway)[0]["envProcess"] == "cat"


def test_an_accepted_change_answers_202_without_a_body(gateway: GatewayProcess) -> None:
    response = gateway.post("/system/functions", json=FUNCTION)
    assert (response.status_code, response.content) == (202, b"")


@pytest.mark.parametrize("listed", [True, False], ids=["list", "show"])
def test_a_status_carries_everything_that_was_deployed_unchanged(gateway: GatewayProcess, listed: bool) -> None:
    assert gateway.post("/system/functions", json=EVERYTHING).status_code == 202
    status = functions(gateway)[0] if listed else gateway.get("/system/function/full").json()
    for field, value in EVERYTHING.items():
        assert status["name" if field == "service" else field] == value, field
    assert status["replicas"] == 1
    assert status["invocationCount"] == 0
    assert datetime.fromisoformat(status["createdAt"]).tzinfo is not None


def test_labels_and_annotations_are_objects_and_empty_fields_are_absent(gateway: GatewayProcess) -> None:
    empty: dict[str, object] = {"labels": None, "annotations": None, "envVars": {}, "secrets": None, "limits": {}}
    body = {**FUNCTION, **empty}
    assert gateway.post("/system/functions", json=body).status_code == 202
    status = functions(gateway)[0]
    assert (status["labels"], status["annotations"]) == ({}, {})
    assert not {"envVars", "secrets", "constraints", "limits", "requests", "usage"} & status.keys()


def test_a_body_of_the_store_with_empty_labels_and_annotations_is_accepted(gateway: GatewayProcess) -> None:
    body = {**FUNCTION, "labels": {}, "annotations": {}, "network": "", "registryAuth": ""}
    assert gateway.post("/system/functions", json=body).status_code == 202


def test_fields_that_we_do_not_know_are_passed_over(gateway: GatewayProcess) -> None:
    assert gateway.post("/system/functions", json={**FUNCTION, "lang": "python3", "handler": "./x"}).status_code == 202


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain", "nonsense"])
def test_json_counts_whatever_its_content_type(gateway: GatewayProcess, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = '\ufeff {"service": "echo", "image": "any", "envProcess": "cat"}\n'
    assert gateway.post("/system/functions", data=body.encode(), headers=headers).status_code == 202


def test_a_chunked_body_is_read(gateway: GatewayProcess) -> None:
    pieces = (piece for piece in [b'{"service": "echo", "image"', b': "any", "envProcess": "cat"}'])
    assert gateway.post("/system/functions", data=pieces).status_code == 202


def test_usage_is_shown_only_when_asked_for(gateway: GatewayProcess) -> None:
    gateway.deploy("echo")
    assert "usage" not in gateway.get("/system/function/echo?usage=0").json()
    status = gateway.get("/system/function/echo?usage=1&namespace=openfaas-fn").json()
    assert status["name"] == "echo"
    assert all(isinstance(value, int | float) for value in status.get("usage", {}).values())


def test_a_list_is_never_a_match_by_prefix(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    assert gateway.get("/system/function/ech").status_code == 404
    assert gateway.request("DELETE", "/system/functions", json={"functionName": "ech"}).status_code == 404


def test_a_ready_function_counts_its_calls(gateway: GatewayProcess) -> None:
    gateway.deploy("counted")
    for _ in range(3):
        assert gateway.post("/function/counted.openfaas-fn", data=b"x").content == b"x"
    # A call counts once its answer is sent, which the client may see a moment earlier.
    wait_until(lambda: gateway.get("/system/function/counted").json()["invocationCount"] == 3)
    assert functions(gateway)[0]["invocationCount"] == 3


def test_asynchronous_runs_count_too_and_a_restart_forgets_nothing(
    gateway: GatewayProcess, redis_process: RedisServer, tmp_path: Path
) -> None:
    gateway.deploy("tallied")

    def count() -> float:
        return float(gateway.get("/system/function/tallied").json()["invocationCount"])

    assert gateway.post("/function/tallied", data=b"x").status_code == 200
    with WorkerProcess(tmp_path, redis_process.address, redis_process.password):
        for _ in range(2):
            assert gateway.post("/async-function/tallied", data=b"x").status_code == 202
        wait_until(lambda: count() == 3, message="all three count")
    with redis_process.client() as client:
        wait_until(lambda: client.hget("swarmfn:invocations", "tallied") == b"1", message="it is stored")
    gateway.kill_and_restart()
    assert count() == 3
    assert gateway.post("/function/tallied", data=b"x").status_code == 200
    wait_until(lambda: count() == 4)


def test_an_update_replaces_the_description(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=EVERYTHING)
    changed = {"service": "full", "image": "any:2", "envProcess": "wc"}
    assert gateway.request("PUT", "/system/functions", json=changed).status_code == 202
    status = gateway.get("/system/function/full").json()
    assert (status["image"], status["envProcess"], status["labels"]) == ("any:2", "wc", {})
    assert "envVars" not in status


def test_delete_removes_the_function(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    body = {"functionName": "echo", "namespace": "openfaas-fn"}
    assert gateway.request("DELETE", "/system/functions", json=body).status_code == 202
    assert functions(gateway) == []
    assert gateway.request("DELETE", "/system/functions", json=body).status_code == 404
    assert gateway.post("/system/functions", json=FUNCTION).status_code == 202


def test_scale_changes_the_number_of_replicas_zero_included(gateway: GatewayProcess) -> None:
    gateway.deploy("echo")
    for replicas in (2, 0, 1):
        body = {"serviceName": "echo", "replicas": replicas, "namespace": "openfaas-fn"}
        assert gateway.post("/system/scale-function/echo", json=body).status_code == 202

        def reached(wanted: int = replicas) -> bool:
            status = gateway.get("/system/function/echo").json()
            return bool(status["replicas"] == status["availableReplicas"] == wanted)

        wait_until(reached, message=f"{replicas} replicas")


def test_scale_needs_no_name_in_its_body(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    assert gateway.post("/system/scale-function/echo", json={"replicas": 2}).status_code == 202
    assert gateway.get("/system/function/echo").json()["replicas"] == 2


def test_the_namespace_suffix_is_accepted_everywhere(gateway: GatewayProcess) -> None:
    name = "echo.openfaas-fn"
    assert gateway.post("/system/functions", json={**FUNCTION, "service": name}).status_code == 202
    assert gateway.request("PUT", "/system/functions", json={**FUNCTION, "service": name}).status_code == 202
    assert gateway.get(f"/system/function/{name}?usage=1").json()["name"] == "echo"
    scale = {"serviceName": name, "replicas": 1}
    assert gateway.post(f"/system/scale-function/{name}", json=scale).status_code == 202
    assert gateway.post("/system/scale-function/echo", json=scale).status_code == 202
    assert [status["name"] for status in functions(gateway, "?namespace=openfaas-fn")] == ["echo"]
    assert gateway.request("DELETE", "/system/functions", json={"functionName": name}).status_code == 202


def test_a_query_with_an_empty_namespace_means_the_only_one(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    assert [status["name"] for status in functions(gateway, "?namespace=")] == ["echo"]
