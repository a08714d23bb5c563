"""What the health checks ask of Redis, and what they make of its answers. On the programs themselves they are tested
in tests/integration/stack."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swarmfn import healthcheck
from swarmfn.jobs import keys
from swarmfn.wire.redis_address import parse_redis_address
from tests.support.processes import free_port, listening_socket
from tests.support.queue_stage import QueueStage
from tests.support.redis_server import RedisServer

Variables = dict[str, str]


@pytest.fixture
def variables(tmp_path: Path, queue_server: RedisServer) -> Variables:
    (tmp_path / "redis-password").write_text(queue_server.password)
    return {
        "secret_mount_path": str(tmp_path),
        "port": str(queue_server.port),
        "faas_redis_address": queue_server.address,
    }


def test_redis_is_well_when_it_answers(variables: Variables) -> None:
    assert healthcheck.redis(variables) == ""


def test_the_previous_password_will_do_and_a_wrong_one_will_not(
    variables: Variables, queue_server: RedisServer
) -> None:
    folder = Path(variables["secret_mount_path"])
    (folder / "redis-password").write_text("the next one")
    with pytest.raises(healthcheck.RefusedByRedis, match="WRONGPASS"):
        healthcheck.redis(variables)
    (folder / "redis-password-previous").write_text(queue_server.password)
    assert healthcheck.redis(variables) == ""
    (folder / "redis-password").unlink()
    (folder / "redis-password-previous").unlink()
    with pytest.raises(healthcheck.RefusedByRedis, match="NOAUTH"):
        healthcheck.redis(variables)


def register(stage: QueueStage, name: str, hostname: str, seconds_ago: float) -> None:
    said = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    stage.redis.sadd(keys.WORKERS, keys.worker(name))
    stage.redis.hset(keys.worker(name), mapping={"hostname": hostname, "last_heartbeat": said})


def test_a_worker_is_well_while_one_of_its_container_gives_signs_of_life(
    stage: QueueStage, variables: Variables
) -> None:
    assert healthcheck.worker(variables) == "it is not registered in Redis"
    register(stage, "elsewhere", "another", 0)
    assert healthcheck.worker(variables) == "it is not registered in Redis"
    register(stage, "silent", socket.gethostname(), 100)
    assert healthcheck.worker(variables).startswith("its last sign of life is 10")
    register(stage, "alive", socket.gethostname(), 40)
    assert healthcheck.worker(variables) == ""


def test_a_sign_of_life_that_cannot_be_read_is_none(stage: QueueStage, variables: Variables) -> None:
    register(stage, "w", socket.gethostname(), 0)
    stage.redis.hset(keys.worker("w"), "last_heartbeat", "recently")
    assert healthcheck.worker(variables) == "its last sign of life is inf s old"


def test_a_worker_is_asked_of_the_database_of_its_address(
    stage: QueueStage, variables: Variables, queue_server: RedisServer
) -> None:
    register(stage, "w", socket.gethostname(), 0)
    address = f"redis://:{queue_server.password}@{queue_server.address}"
    assert healthcheck.worker({"faas_redis_address": f"{address}/0"}) == ""
    assert healthcheck.worker({"faas_redis_address": f"{address}/3"}) == "it is not registered in Redis"


def test_without_redis_a_worker_is_left_alone(variables: Variables) -> None:
    assert healthcheck.worker({**variables, "faas_redis_address": f"127.0.0.1:{free_port()}"}) == ""


def test_each_kind_of_answer_is_read(variables: Variables, queue_server: RedisServer) -> None:
    client = healthcheck.RedisSays(parse_redis_address(queue_server.address), [queue_server.password])
    try:
        assert client.ask("SET", "a", "ü\r\n") == ["OK"]
        assert client.ask("STRLEN", "a") == ["4"]
        assert client.ask("GET", "a") == ["ü\r\n"]
        assert client.ask("MGET", "a", "none", "a") == ["ü\r\n", "", "ü\r\n"]
        with pytest.raises(healthcheck.RefusedByRedis, match="unknown command"):
            client.ask("NONE")
    finally:
        client.ask("DEL", "a")
        client.close()


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """The check of a gateway that answers with these bytes."""
    with listening_socket() as listener:

        def check(answer: bytes) -> str:
            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                return healthcheck.gateway({"port": str(listener.getsockname()[1])})
            finally:
                thread.join()

        yield check


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "/healthz answers 'HTTP/1.1 503 Service Unavailable'"),
        (b"", "/healthz answers ''"),
    ],
)
def test_a_gateway_is_well_when_it_says_200(answering: Callable[[bytes], str], answer: bytes, problem: str) -> None:
    assert answering(answer) == problem


def test_what_is_wrong_is_printed_and_tells_the_exit_code(
    variables: Variables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert healthcheck.main(["redis"]) == 0
    assert healthcheck.main(["redis", str(tmp_path / "mark")]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("port", str(free_port()))
    assert healthcheck.main(["redis"]) == 1
    assert capsys.readouterr().out.startswith("redis: [Errno 111] ")
    for wrong in ([], ["other"], ["redis", "mark", "more"]):
        assert healthcheck.main(wrong) == 2
        assert capsys.readouterr().out.startswith("expected one of gateway, redis, worker, got ")
