"""The port for Prometheus and health checks."""

from __future__ import annotations

import socket

import pytest
import requests

from swarmfn.exposition import CONTENT_TYPE
from swarmfn.exposition.listener import serve_metrics


def test_healthz_says_when_the_program_is_stopping_and_metrics_are_there_to_the_end() -> None:
    is_ready = True
    with serve_metrics(0, lambda: b"some_metric 1\n", "127.0.0.1", lambda: is_ready) as listener:
        base = f"http://127.0.0.1:{listener.port}"
        health = requests.get(f"{base}/healthz", timeout=20)
        assert (health.status_code, health.text) == (200, "OK\n")
        is_ready = False
        health = requests.get(f"{base}/healthz", timeout=20)
        assert (health.status_code, health.text) == (503, "stopping\n")
        metrics = requests.get(f"{base}/metrics?anything", timeout=20)
        assert (metrics.status_code, metrics.content) == (200, b"some_metric 1\n")
        assert metrics.headers["Content-Type"] == CONTENT_TYPE
        assert requests.get(f"{base}/", timeout=20).status_code == 404


def test_it_listens_on_addresses_of_ipv6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as exc:
        pytest.skip(f"no IPv6 loopback here: {exc}")
    with serve_metrics(0, lambda: b"some_metric 1\n", "::1") as listener:
        assert requests.get(f"http://[::1]:{listener.port}/metrics", timeout=20).content == b"some_metric 1\n"
