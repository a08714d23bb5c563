"""Programs of this version beside data of a newer one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from redis.typing import EncodableT, FieldT

from swarmfn.jobs.layout import JOB_DATA
from swarmfn.wire.invocations import VERSION
from tests.support.gateway import GatewayProcess
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish


def test_a_worker_leaves_a_newer_call_waiting(stage: QueueStage) -> None:
    publish(stage.redis, {"echo": "127.0.0.1:9"})
    newer = {**json.loads(invocation("new").to_json()), "v": VERSION + 1}
    fields: dict[FieldT, EncodableT] = {
        "data": JOB_DATA,
        "call": json.dumps(newer),
        "status": "queued",
        "origin": "echo",
    }
    stage.redis.hset("rq:job:new", mapping=fields)
    stage.redis.sadd("swarmfn:queues", "echo")
    stage.redis.rpush("rq:queue:echo", "new")
    wait_until(lambda: stage.redis.hget("rq:job:new", "status") == b"scheduled", 30, "the call is put off")
    assert stage.redis.hget("rq:job:new", "state") is None
    assert stage.redis.hget("rq:job:new", "attempts") is None
    stage.redis.flushall()  # it was never accepted, so the books cannot balance with it


def test_a_worker_does_not_start_on_newer_data_and_says_why(redis_server: RedisServer, tmp_path: Path) -> None:
    client = redis_server.client()
    client.set("swarmfn:layout", VERSION + 1)
    worker = WorkerProcess(redis_server, tmp_path, worker_processes="1")
    try:
        wait_until(lambda: f"layout {VERSION + 1}" in worker.log(), 30, "the worker says why it does not start")
        assert not client.smembers("rq:workers")
    finally:
        assert worker.terminate() == 0
        client.flushall()
        client.close()


def test_a_gateway_does_not_start_on_newer_data_and_says_why(redis_server: RedisServer, tmp_path: Path) -> None:
    with redis_server.client() as client:
        client.set("swarmfn:layout", VERSION + 1)
        with (
            pytest.raises(RuntimeError, match=rf"cannot start: .*layout {VERSION + 1}; this one reads up to {VERSION}"),
            GatewayProcess(tmp_path, redis_server.address, redis_server.password, "fastlane"),
        ):
            pass
        client.flushall()
