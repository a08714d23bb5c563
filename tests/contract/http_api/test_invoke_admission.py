"""429: a queue that is full takes no more calls, and says when to come back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.hand_worker import take
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def narrow_gateway(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp(f"narrow-{data_plane}")
    with GatewayProcess(
        directory, redis_process.address, redis_process.password, data_plane, queue_max_depth="3"
    ) as gateway:
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
