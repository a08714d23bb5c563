"""A gateway that keeps callbacks out of the operator's network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.hand_worker import take
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def guarded_gateway(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp(f"guarded-{data_plane}")
    settings = {"callback_guard": "private", "callback_allow": "10.20.0.0/16, hooks.internal.example"}
    with GatewayProcess(directory, redis_process.address, redis_process.password, data_plane, **settings) as gateway:
        gateway.deploy("echo")
        yield gateway


@pytest.fixture
def guarded(guarded_gateway: GatewayProcess, redis_process: RedisServer) -> GatewayProcess:
    redis_process.flush()
    return guarded_gateway


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379/",
        "http://localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.19.255.255/",
    ],
)
def test_a_callback_into_the_network_is_a_400_that_says_why(
    guarded: GatewayProcess, redis_process: RedisServer, url: str
) -> None:
    answer = guarded.post("/async-function/echo", data=b"x", headers={"X-Callback-Url": url}, auth=None)
    assert answer.status_code == 400
    assert "X-Callback-Url" in answer.text
    assert "callback_guard" in answer.text
    assert take(redis_process, "echo") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway:8080/function/echo",
        "http://gateway:8080/async-function/echo",
        "http://10.20.1.1/",
        "http://hooks.internal.example/",
        "http://93.184.216.34/",
        "https://[2606:4700:4700::1111]/",
        "http://does-not-resolve.invalid/",
    ],
)
def test_any_other_is_accepted(guarded: GatewayProcess, redis_process: RedisServer, url: str) -> None:
    answer = guarded.post("/async-function/echo", data=b"x", headers={"X-Callback-Url": url}, auth=None)
    assert answer.status_code == 202, answer.text
    assert take(redis_process, "echo") is not None


def test_a_call_without_a_callback_is_not_concerned(guarded: GatewayProcess) -> None:
    assert guarded.post("/async-function/echo", data=b"x", auth=None).status_code == 202
