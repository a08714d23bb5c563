"""What a worker process counts by itself, read over HTTP."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import RecordingServer
from tests.support.processes import free_port
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def samples(port: int) -> dict[str, float]:
    """`name{label=value,…}` → value."""
    found = {}
    for family in text_string_to_metric_families(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_waits_attempts_and_callbacks_are_counted(bare_stage: QueueStage, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port), "metrics_address": "127.0.0.1"}
    with RecordingServer() as server, WorkerProcess(bare_stage.server, tmp_path, **settings):
        publish(bare_stage.redis, {"echo": server.address})
        bare_stage.submit(invocation("a", callback_url=f"http://{server.address}/"))
        bare_stage.told("a", "delivered")
        seen = samples(port)
    assert seen["swarmfn_call_wait_seconds_count{function=echo}"] == 1
    assert seen["swarmfn_attempt_seconds_count{function=echo,status=200}"] == 1
    assert 0 < seen["swarmfn_attempt_seconds_sum{function=echo,status=200}"] < 60
    assert seen["swarmfn_attempt_seconds_bucket{function=echo,le=+Inf,status=200}"] == 1
    assert seen["swarmfn_callback_seconds_count{function=echo,outcome=delivered}"] == 1
    assert seen["swarmfn_worker_inflight{kind=call}"] == 0
    assert seen["swarmfn_worker_lost_claims_total{}"] == 0


def test_a_process_that_takes_anothers_place_has_its_port(bare_stage: QueueStage, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port), "metrics_address": "127.0.0.1"}
    with WorkerProcess(bare_stage.server, tmp_path, **settings) as worker:
        publish(bare_stage.redis, {})
        worker.wait_until_ready()
        os.kill(worker.child(), signal.SIGKILL)
        worker.wait_until_ready(times=2)
        wait_until(lambda: "swarmfn_worker_inflight{kind=call}" in samples(port))


def test_a_port_that_is_taken_stops_no_call(bare_stage: QueueStage, tmp_path: Path) -> None:
    with RecordingServer() as server:
        settings = {"metrics_port": server.address.rpartition(":")[2], "metrics_address": "127.0.0.1"}
        with WorkerProcess(bare_stage.server, tmp_path, **settings) as worker:
            publish(bare_stage.redis, {"echo": server.address})
            bare_stage.submit("a")
            assert bare_stage.final("a").state == "succeeded"
            worker.wait_for_log("event=no_metrics")
