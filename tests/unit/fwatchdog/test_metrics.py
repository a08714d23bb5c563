from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from fwatchdog.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.exposition())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_exposition_is_valid_and_complete() -> None:
    metrics = Metrics()
    metrics.in_flight = 2
    for seconds in (0.001, 0.2, 99):
        metrics.observe(200, "POST", seconds)
    metrics.observe(500, "GET", 0.005)
    seen = samples(metrics)
    assert seen["http_requests_in_flight", ()] == 2
    assert seen["http_requests_total", ("200", "post")] == 3
    assert seen["http_requests_total", ("500", "get")] == 1
    assert seen["http_request_duration_seconds_sum", ("200", "post")] == 99.201
    buckets = [
        seen["http_request_duration_seconds_bucket", ("200", "post", le)] for le in ("0.005", "0.25", "10", "+Inf")
    ]
    assert buckets == [1, 2, 2, 3]
    assert seen["http_request_duration_seconds_bucket", ("500", "get", "0.005")] == 1


def test_methods_that_clients_make_up_share_a_series() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.observe(200, f"M{number}", 0)
    assert samples(metrics)["http_requests_total", ("200", "unknown")] == 100
