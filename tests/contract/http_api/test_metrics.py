"""/metrics on the main port, with real calls behind it."""

from __future__ import annotations

from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import GatewayProcess
from tests.support.processes import free_port
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


def samples(gateway: GatewayProcess, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Labels → value of every sample called `name`."""
    families = text_string_to_metric_families(gateway.get("/metrics").text)
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_calls_are_counted_under_the_names_that_dashboards_use(gateway: GatewayProcess) -> None:
    gateway.deploy("seen")
    for _ in range(2):
        assert gateway.post("/function/seen", data=b"x").status_code == 200
    label = ("function_name", "seen.openfaas-fn")
    counted = (("code", "200"), label)
    wait_until(lambda: samples(gateway, "gateway_function_invocation_total").get(counted) == 2)
    assert samples(gateway, "gateway_functions_seconds_count")[counted] == 2
    assert samples(gateway, "gateway_functions_seconds_sum")[counted] > 0
    assert samples(gateway, "gateway_function_invocation_started")[(label,)] == 2
    assert samples(gateway, "gateway_function_invocation_inflight")[(label,)] == 0
    assert samples(gateway, "gateway_service_count")[(label,)] == 1
    assert samples(gateway, "gateway_service_ready_count")[(label,)] == 1


def test_names_that_clients_make_up_become_no_labels(gateway: GatewayProcess) -> None:
    for path in ("/function/made-up", "/system/function/made-up", "/made-up"):
        assert gateway.get(path).status_code == 404
    exposition = gateway.get("/metrics").text
    assert "made-up" not in exposition
    labels = (("code", "404"), ("method", "GET"), ("path", "/system/function/<name>"))
    assert samples(gateway, "http_requests_total")[labels] >= 1


def test_methods_that_nothing_here_knows_become_no_labels(gateway: GatewayProcess) -> None:
    for method in ("PROPFIND", "PURGE"):
        assert gateway.request(method, "/metrics", auth=None).status_code == 401
    assert "PURGE" not in gateway.get("/metrics").text
    unknown = [value for key, value in samples(gateway, "http_requests_total").items() if ("method", "unknown") in key]
    assert sum(unknown) >= 2


def test_a_deleted_function_leaves_no_trace(gateway: GatewayProcess) -> None:
    gateway.deploy("leaving")
    gateway.post("/function/leaving", data=b"x")
    gateway.request("DELETE", "/system/functions", json={"functionName": "leaving"})
    wait_until(lambda: "leaving" not in gateway.get("/metrics").text)


def test_the_metrics_port_asks_for_no_credentials_and_serves_nothing_else(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    with GatewayProcess(tmp_path, redis_server.address, redis_server.password, "flask", metrics_port=str(port)):
        url = f"http://127.0.0.1:{port}"
        assert "gateway_service_count" in requests.get(f"{url}/metrics", timeout=30).text
        assert requests.get(f"{url}/healthz", timeout=30).status_code == 200
        assert requests.get(f"{url}/system/functions", timeout=30).status_code == 404


def test_the_queue_is_counted_by_function_and_queue_and_the_books_balance(
    gateway: GatewayProcess, redis_server: RedisServer
) -> None:
    with QueueStage(redis_server) as queue:
        for call_id in ("fails", "again", "runs", "waits"):
            queue.submit(call_id)
        queue.finish(queue.claim_one(), failure(delivery=delivery("cb_1", "fails")))
        queue.retry_later(queue.claim_one(), postponement(60, counter="retried:echo:echo"))
        queue.claim_one()
        queue.finish(queue.claim_one(CALLBACKS), success(counter="delivered:echo"))
        gateway.post("/system/invocations/redrive", json={"id": "fails"})
        queue.submit(invocation("urgent", queue="echo:high"))
    events = samples(gateway, "swarmfn_calls_total")
    counted = {key[0][1]: value for key, value in events.items() if key[2] == ("queue", "echo")}
    assert counted == {"accepted": 4, "started": 3, "failed": 1, "retried": 1, "redriven": 1}
    assert events[(("event", "accepted"), ("function", "echo"), ("queue", "echo:high"))] == 1
    pending = samples(gateway, "swarmfn_calls_pending")
    assert {key[1][1]: value for key, value in pending.items() if key[0] == ("queue", "echo")} == {
        "waiting": 2,
        "put_off": 1,
        "running": 1,
    }
    assert samples(gateway, "swarmfn_callbacks_total") == {(("event", "delivered"), ("function", "echo")): 1}
    assert set(samples(gateway, "swarmfn_callbacks_pending").values()) == {0}
    assert samples(gateway, "swarmfn_ledger_imbalance")[()] == 0
    assert 0 <= samples(gateway, "swarmfn_queue_oldest_seconds")[(("queue", "echo"),)] < 60
    assert samples(gateway, "swarmfn_redis_up")[()] == 1


def test_receivers_that_clients_name_become_no_labels(gateway: GatewayProcess, redis_server: RedisServer) -> None:
    with QueueStage(redis_server) as queue:
        queue.submit("a")
        queue.finish(queue.claim_one(), success(delivery=delivery("cb_1", "a", "http://made-up/")))
    assert "made-up" not in gateway.get("/metrics").text
    assert samples(gateway, "swarmfn_callbacks_pending")[(("state", "waiting"),)] == 1
    assert (("queue", "callbacks"),) in samples(gateway, "swarmfn_queue_oldest_seconds")


def test_metrics_of_calls_are_there_while_redis_is_not(data_plane: str, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, f"127.0.0.1:{free_port()}", "none", data_plane) as gateway:
        assert samples(gateway, "swarmfn_redis_up")[()] == 0
        assert samples(gateway, "swarmfn_calls_total") == {}
        assert "gateway_service_count" in gateway.get("/metrics").text
