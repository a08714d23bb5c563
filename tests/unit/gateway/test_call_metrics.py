"""What is counted, and how Prometheus reads it."""

from __future__ import annotations

import threading

import requests
from prometheus_client.parser import text_string_to_metric_families

from gateway.call_metrics import InvocationMetrics
from swarmfn.exposition.listener import serve_metrics
from swarmfn.wire.replicas import ReplicaTable, Route


def table(*names: str) -> ReplicaTable:
    return {name: Route(name, ("127.0.0.1:1", "127.0.0.1:2"), 3, 60.0, name) for name in names}


def samples(metrics: InvocationMetrics) -> dict[str, float]:
    """`name{label=value,…}` → value, as a Prometheus server parses the exposition."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_call_is_in_flight_until_it_has_finished() -> None:
    metrics = InvocationMetrics(lambda: table("echo"))
    metrics.started("echo")
    seen = samples(metrics)
    assert seen["gateway_function_invocation_started{function_name=echo.openfaas-fn}"] == 1
    assert seen["gateway_function_invocation_inflight{function_name=echo.openfaas-fn}"] == 1
    assert not any(key.startswith("gateway_function_invocation_total") for key in seen)
    metrics.finished("echo", 200, 0.5)
    seen = samples(metrics)
    assert seen["gateway_function_invocation_inflight{function_name=echo.openfaas-fn}"] == 0
    assert seen["gateway_function_invocation_total{code=200,function_name=echo.openfaas-fn}"] == 1


def test_methods_that_clients_make_up_share_a_series() -> None:
    metrics = InvocationMetrics(dict)
    for method in ("GET", "MADE", "UP"):
        metrics.observe_request(method, "/metrics", 401, 0.1)
    seen = samples(metrics)
    assert seen["http_requests_total{code=401,method=GET,path=/metrics}"] == 1
    assert seen["http_requests_total{code=401,method=unknown,path=/metrics}"] == 2
    assert seen["http_request_duration_seconds_count{method=unknown,path=/metrics}"] == 2


def test_durations_are_a_cumulative_histogram_by_code() -> None:
    metrics = InvocationMetrics(lambda: table("echo"))
    for status, seconds in ((200, 0.0005), (200, 0.5), (200, 1000.0), (502, 0.001)):
        metrics.started("echo")
        metrics.finished("echo", status, seconds)
    seen = samples(metrics)
    name = "gateway_functions_seconds"
    assert seen[f"{name}_bucket{{code=200,function_name=echo.openfaas-fn,le=0.001}}"] == 1
    assert seen[f"{name}_bucket{{code=200,function_name=echo.openfaas-fn,le=0.5}}"] == 2
    assert seen[f"{name}_bucket{{code=200,function_name=echo.openfaas-fn,le=300}}"] == 2
    assert seen[f"{name}_bucket{{code=200,function_name=echo.openfaas-fn,le=+Inf}}"] == 3
    assert seen[f"{name}_count{{code=200,function_name=echo.openfaas-fn}}"] == 3
    assert seen[f"{name}_sum{{code=200,function_name=echo.openfaas-fn}}"] == 1000.5005
    assert seen[f"{name}_bucket{{code=502,function_name=echo.openfaas-fn,le=0.001}}"] == 1


def test_replicas_come_from_the_table() -> None:
    seen = samples(InvocationMetrics(lambda: table("a", "b")))
    for name in ("a", "b"):
        assert seen[f"gateway_service_count{{function_name={name}.openfaas-fn}}"] == 3
        assert seen[f"gateway_service_ready_count{{function_name={name}.openfaas-fn}}"] == 2


def test_a_function_that_is_gone_is_forgotten_once_its_calls_have_ended() -> None:
    present = table("echo")
    metrics = InvocationMetrics(lambda: present)
    metrics.started("echo")
    present = table()
    assert "gateway_function_invocation_inflight{function_name=echo.openfaas-fn}" in samples(metrics)
    metrics.finished("echo", 200, 0.1)
    assert not any("echo" in key for key in samples(metrics))
    assert metrics.ended().get("echo", 0) == 0


def test_the_invocation_count_is_of_calls_that_ended_whatever_their_status() -> None:
    metrics = InvocationMetrics(lambda: table("echo"))
    assert metrics.ended().get("echo", 0) == 0
    for status in (200, 500):
        metrics.started("echo")
        metrics.finished("echo", status, 0.1)
    metrics.started("echo")
    assert metrics.ended() == {"echo": 2}


def test_no_count_is_lost_between_threads() -> None:
    metrics = InvocationMetrics(lambda: table("echo"))

    def call() -> None:
        for _ in range(2000):
            metrics.started("echo")
            metrics.finished("echo", 200, 0.1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.ended() == {"echo": 8000}


def test_requests_for_own_routes_are_counted_by_pattern() -> None:
    metrics = InvocationMetrics(dict)
    metrics.observe_request("GET", "/system/function/<name>", 404, 0.01)
    seen = samples(metrics)
    assert seen["http_requests_total{code=404,method=GET,path=/system/function/<name>}"] == 1
    assert seen["http_request_duration_seconds_count{method=GET,path=/system/function/<name>}"] == 1


def test_the_internal_listener_serves_metrics_and_health_and_nothing_else() -> None:
    with serve_metrics(0, lambda: b"some 1\n", "127.0.0.1") as listener, requests.Session() as session:
        session.trust_env = False
        url = f"http://127.0.0.1:{listener.port}"
        assert session.get(f"{url}/metrics?x=1", timeout=20).text == "some 1\n"
        assert session.get(f"{url}/healthz", timeout=20).status_code == 200
        assert session.get(f"{url}/system/functions", timeout=20).status_code == 404
        assert session.post(f"{url}/metrics", timeout=20).status_code == 501
