"""429: a queue that is full takes no more calls, and says when to come back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.hand_worker import take
from tests.support.raw_http import RawClient
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def narrow_gateway(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp(f"narrow-{data_plane}")
    settings = {"queue_max_depth": "3", "async_max_put_off": "2", "queue_max_memory": "40Mi"}
    with GatewayProcess(directory, redis_process.address, redis_process.password, data_plane, **settings) as gateway:
        gateway.deploy("plain")
        gateway.deploy("wide", annotations={"com.openfaas.queue.max_depth": "0"})
        gateway.deploy("hasty", annotations={"com.openfaas.queue.max_age": "200ms"})
        odd = {"com.openfaas.queue.max_depth": "many", "com.openfaas.queue.max_age": "soon"}
        gateway.deploy("odd", annotations=odd)
        yield gateway


@pytest.fixture
def narrow(narrow_gateway: GatewayProcess, redis_process: RedisServer) -> GatewayProcess:
    """A gateway whose queues take three calls, unless their function says otherwise."""
    redis_process.flush()
    return narrow_gateway


def send(gateway: GatewayProcess, name: str, **headers: str) -> tuple[int, str]:
    answer = gateway.post(f"/async-function/{name}", data=b"x", headers=headers, auth=None)
    return answer.status_code, answer.text


def test_the_call_beyond_the_limit_is_a_429_that_says_when_to_come_back(
    narrow: GatewayProcess, redis_process: RedisServer
) -> None:
    assert [send(narrow, "plain")[0] for _ in range(3)] == [202, 202, 202]
    answer = narrow.post("/async-function/plain", data=b"x", auth=None)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-OpenFaaS-Internal"] == "gateway"
    assert "queue_max_depth" in answer.text
    assert "X-Call-Id" in answer.headers
    assert take(redis_process, "plain") is not None
    assert send(narrow, "plain")[0] == 202
    assert send(narrow, "plain")[0] == 429


def test_many_at_once_do_not_get_past_it(narrow: GatewayProcess) -> None:
    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(lambda _: send(narrow, "plain")[0], range(40)))
    assert sorted(statuses) == [202] * 3 + [429] * 37


def test_a_large_body_is_refused_too_and_not_kept(narrow: GatewayProcess, redis_process: RedisServer) -> None:
    for _ in range(3):
        send(narrow, "plain")
    assert narrow.post("/async-function/plain", data=bytes(1_000_000), auth=None).status_code == 429
    with redis_process.client() as client:
        assert [*client.scan_iter("swarmfn:upload:*"), *client.scan_iter("swarmfn:body:*")] == []


def test_a_functions_annotation_takes_the_place_of_the_setting(narrow: GatewayProcess) -> None:
    assert {send(narrow, "wide")[0] for _ in range(10)} == {202}


def test_the_age_of_the_first_call_is_a_limit_of_its_own(narrow: GatewayProcess) -> None:
    assert send(narrow, "hasty")[0] == 202
    time.sleep(0.3)
    status, text = send(narrow, "hasty")
    assert status == 429
    assert "200ms (queue_max_age)" in text


def test_all_priorities_and_calls_for_later_share_the_limit(narrow: GatewayProcess) -> None:
    assert send(narrow, "plain", **{"X-Priority": "low"})[0] == 202
    assert send(narrow, "plain", **{"X-Delay": "1h"})[0] == 202
    assert send(narrow, "plain")[0] == 202
    assert send(narrow, "plain", **{"X-Priority": "high"})[0] == 429
    assert send(narrow, "plain", **{"X-Delay": "1h"})[0] == 429


def test_annotations_that_cannot_be_used_fall_back_with_a_warning_in_log_and_status(narrow: GatewayProcess) -> None:
    assert [send(narrow, "odd")[0] for _ in range(2)] == [202, 202]
    answer = narrow.post("/async-function/odd", data=b"x", auth=None)
    warnings = json.loads(narrow.get(answer.headers["Location"]).text)["warnings"]
    assert len(warnings) == 2
    for name in ("com.openfaas.queue.max_depth", "com.openfaas.queue.max_age"):
        assert any(name in warning and "the gateway's own limit" in warning for warning in warnings)
        assert name in narrow.log()
    assert send(narrow, "odd")[0] == 429


def test_calls_that_are_put_off_have_a_limit_over_all_queues(narrow: GatewayProcess) -> None:
    assert send(narrow, "wide", **{"X-Delay": "1h"})[0] == 202
    assert send(narrow, "plain", **{"X-Run-At": "2100-01-01T00:00:00Z", "X-Max-Age": "1h"})[0] == 400  # too far ahead
    assert send(narrow, "plain", **{"X-Delay": "2h"})[0] == 202
    status, text = send(narrow, "wide", **{"X-Delay": "1h"})
    assert status == 429
    assert "all queues hold 2, and the limit is 2 (async_max_put_off)" in text
    assert send(narrow, "wide")[0] == 202


def test_when_redis_holds_too_much_a_call_is_refused(narrow: GatewayProcess, data_plane: str) -> None:
    # Of twenty megabytes there is room for one, whether Redis was looked at in between or not.
    assert narrow.post("/async-function/wide", data=bytes(20 * 2**20), auth=None).status_code == 202
    with RawClient(narrow.address) as client:
        length = [("Content-Length", str(30 * 2**20))]
        client.request("POST", "/async-function/wide", length)
        if data_plane == "flask":  # waitress reads the whole body first
            client.send(bytes(30 * 2**20))
        answer = client.answer("POST")
    assert answer.status == 503
    assert answer.header("Retry-After") == "5"
    assert "(queue_max_memory)" in answer.text
    assert narrow.post("/async-function/wide", data=iter([bytes(30 * 2**20)]), auth=None).status_code == 503
    wait_until(lambda: send(narrow, "wide")[0] == 202, message="a small one finds room")


def test_the_limits_can_be_read_with_what_there_is(narrow: GatewayProcess) -> None:
    def rows() -> dict[str, Any]:
        return {row["setting"]: row for row in narrow.get("/system/limits").json()}

    wait_until(lambda: rows()["queue_max_memory"]["now"] < 15 * 2**20, message="the last test is forgotten")
    for headers in ({}, {}, {"X-Delay": "1h"}):
        send(narrow, "wide", **headers)
    # What the gateway has seen last may still be of the last test, in part or altogether.
    of_queue = {"setting": "queue_max_depth", "unit": "calls", "limit": 3, "now": 3, "queue": "wide"}
    put_off = {"setting": "async_max_put_off", "unit": "calls", "limit": 2, "now": 1}
    wait_until(lambda: rows()["queue_max_depth"] == of_queue, message="it has looked at the queue")
    wait_until(lambda: rows()["async_max_put_off"] == put_off, message="it has looked at what is put off")
    found = rows()
    memory = found["queue_max_memory"]
    assert (memory["unit"], memory["limit"]) == ("bytes", 40 * 2**20)
    assert found["redis_maxmemory"] == {**memory, "setting": "redis_maxmemory", "limit": 0}
