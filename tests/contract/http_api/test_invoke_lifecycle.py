"""The gateway as a process: how it starts, how it refuses to, and how it stops."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.invocation_stage import InvocationStage
from tests.support.processes import ChildProcess, free_port
from tests.support.raw_http import RawClient, Truncated
from tests.support.redis_server import RedisServer
from tests.support.staged_replica import Exchange
from tests.support.waiting import wait_until

Open = Callable[..., InvocationStage]


@pytest.fixture
def open_stage(data_plane: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[Open]:
    """Starts a gateway of the test's own, with the settings it is given."""
    with contextlib.ExitStack() as undo:
        yield lambda **settings: undo.enter_context(InvocationStage(tmp_path, redis_server, data_plane, **settings))


def is_refused(stage: InvocationStage) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", stage.gateway.port), timeout=5):
            return False
    except ConnectionRefusedError:
        return True


def test_sigterm_lets_calls_in_flight_end_and_takes_no_new_ones(open_stage: Open) -> None:
    metrics_port = free_port()
    stage = open_stage(metrics_port=str(metrics_port))
    may_end = threading.Event()

    def health_beside() -> int:
        """What the port for metrics and health checks says."""
        return requests.get(f"http://127.0.0.1:{metrics_port}/healthz", timeout=20).status_code

    def play(exchange: Exchange) -> None:
        body = exchange.body()
        exchange.begin()
        exchange.chunk(b"begun, ")
        assert may_end.wait(30)
        exchange.chunk(body)
        exchange.chunk(b"")

    stage.replica.play = play
    with stage.client() as busy, stage.client() as early, stage.client() as idle:
        idle.request("GET", "/function/asleep")
        assert idle.answer().status == 503
        early.send(b"GET /healthz HTTP/1.1\r\n")
        busy.request("POST", "/function/stage", body=b"whole")
        stage.replica.exchange()
        head = busy.head()
        assert health_beside() == 200
        stage.gateway.process.send(signal.SIGTERM)
        wait_until(lambda: is_refused(stage), message="new connections are refused")
        assert health_beside() == 503
        assert idle.rest() == b""
        assert stage.gateway.process.exit_code is None
        # A request whose beginning was there before is still served: by one that says it is stopping.
        early.send(b"Host: x\r\n\r\n")
        answer = early.answer()
        assert (answer.status, answer.body) == (503, b"stopping\n")
        may_end.set()
        assert b"".join(busy.pieces(head)) == b"begun, whole"
    assert stage.gateway.process.wait() == 0
    assert "Traceback" not in stage.gateway.log()
    assert "ERROR" not in stage.gateway.log()


def test_a_second_sigterm_ends_the_waiting_for_calls(open_stage: Open) -> None:
    stage = open_stage(upstream_timeout="5m")
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.begin()
        exchange.chunk(b"begun")
        assert ended.wait(60)

    stage.replica.play = play
    with stage.client() as busy:
        busy.request("POST", "/function/stage", body=b"whole")
        stage.replica.exchange()
        busy.head()
        stage.gateway.process.send(signal.SIGTERM)
        # At once it is the same request once more.
        stage.gateway.process.send(signal.SIGTERM)
        wait_until(lambda: is_refused(stage), message="new connections are refused")
        assert stage.gateway.process.exit_code is None
        time.sleep(1.5)  # so that it is another one; not more than one, which could come while Python itself ends
        stage.gateway.process.send(signal.SIGTERM)
        assert stage.gateway.process.wait() == 0
    ended.set()
    assert "Traceback" not in stage.gateway.log()


def test_a_call_that_does_not_end_does_not_keep_the_gateway_from_stopping(open_stage: Open) -> None:
    stage = open_stage(upstream_timeout="1s")
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.begin()
        exchange.wait_for_end()
        ended.set()

    stage.replica.play = play
    with stage.client() as client:
        client.request("GET", "/function/stage")
        head = client.head()
        stage.gateway.process.send(signal.SIGTERM)
        with pytest.raises((Truncated, ConnectionError)):
            b"".join(client.pieces(head))
    assert ended.wait(20)
    assert stage.gateway.process.wait() == 0
    assert "Traceback" not in stage.gateway.log()


def test_functions_outlive_the_gateway_and_are_found_again(open_stage: Open) -> None:
    stage = open_stage()
    stage.gateway.kill_and_restart()
    assert stage.call("POST", "/function/cat", body=b"still here").body == b"still here"
    assert stage.call("POST", "/function/stage", body=b"x").body == b"x"


def test_health_is_also_told_on_the_metrics_port_and_turns_while_stopping(open_stage: Open) -> None:
    port = free_port()
    stage = open_stage(metrics_port=str(port))
    may_end = threading.Event()

    def play(exchange: Exchange) -> None:
        assert may_end.wait(30)
        exchange.answer()

    def health() -> int:
        with RawClient(f"127.0.0.1:{port}") as client:
            client.request("GET", "/healthz", [("Connection", "close")])
            return client.answer().status

    stage.replica.play = play
    assert health() == 200
    with stage.client() as client:
        client.request("GET", "/function/stage")
        stage.replica.exchange()
        stage.gateway.process.send(signal.SIGTERM)
        wait_until(lambda: health() == 503)
        may_end.set()
        assert client.answer().status == 200
    assert stage.gateway.process.wait() == 0


@pytest.mark.parametrize("variable", ["port", "metrics_port"])
def test_a_port_in_use_is_a_sentence_and_exit_1(
    data_plane: str, tmp_path: Path, redis_server: RedisServer, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"port": str(free_port()), variable: str(port)}
        with gateway(tmp_path, redis_server, data_plane=data_plane, **ports) as process:
            assert process.wait() == 1
            lines = [line for line in process.log().splitlines() if "cannot start" in line]
    assert len(lines) == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in lines[0]
    assert "Traceback" not in process.log()


def test_bad_settings_are_all_named_and_exit_2(tmp_path: Path, redis_server: RedisServer) -> None:
    bad = {
        "port": "70000",
        "metrics_port": "-1",
        "data_plane": "turbo",
        "read_timeout": "soon",
        "write_timeout": "10s",
        "upstream_timeout": "0",
        "async_max_body": "lots",
        "log_format": "xml",
        "secret_mount_path": str(tmp_path / "nowhere"),
    }
    with gateway(tmp_path, redis_server, **bad) as process:
        assert process.wait() == 2
        (line,) = process.log().splitlines()
    for name in (
        "port",
        "metrics_port",
        "data_plane",
        "read_timeout",
        "upstream_timeout",
        "async_max_body",
        "log_format",
    ):
        assert f"{name}: " in line
    assert "basic-auth-user" in line


def test_a_write_timeout_below_the_upstream_timeout_is_refused(tmp_path: Path, redis_server: RedisServer) -> None:
    with gateway(tmp_path, redis_server, write_timeout="60s", upstream_timeout="60s", basic_auth="false") as process:
        assert process.wait() == 2
        assert "write_timeout: must be longer than upstream_timeout (60s)" in process.log()


def gateway(directory: Path, redis: RedisServer, **settings: str) -> ChildProcess:
    """`python -m gateway` with nothing but these settings."""
    (directory / "redis-password").write_text(redis.password)
    environment = {
        "listen_address": "127.0.0.1",
        "secret_mount_path": str(directory),
        "faas_redis_address": redis.address,
        "local_state_dir": str(directory / "state"),
        "basic_auth": "false" if "secret_mount_path" not in settings else "true",
        **settings,
    }
    return ChildProcess([sys.executable, "-m", "gateway"], directory / "gateway.log", environment)


def test_sigterm_answers_those_who_wait_for_a_calls_end(open_stage: Open) -> None:
    stage = open_stage()
    call_id = stage.call("POST", "/async-function/asleep", body=b"x").header("X-Call-Id")
    with stage.client() as client:
        client.request("GET", f"/async-function/{call_id}?wait=50s")
        assert stage.call("GET", f"/async-function/{call_id}").status == 200
        stage.gateway.process.send(signal.SIGTERM)
        # The gateway ends long before the time is up, and not before it has answered.
        answer = client.answer()
        assert (answer.status, '"state":"queued"' in answer.text.replace(" ", "")) == (200, True)
        assert stage.gateway.process.wait(30) == 0
