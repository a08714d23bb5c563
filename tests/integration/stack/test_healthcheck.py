"""The health checks of gateway, worker and Redis on the real programs."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.processes import REPOSITORY, free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess


def check(program: str, **environment: str) -> tuple[int, str]:
    """The exit code, and what was said, without any package of the environment."""
    command = [sys.executable, "-S", "-m", "swarmfn.healthcheck", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


@pytest.fixture
def secrets(tmp_path: Path, redis_server: RedisServer) -> str:
    (tmp_path / "redis-password").write_text(redis_server.password)
    return str(tmp_path)


def test_redis_is_well_when_it_answers_with_its_password(secrets: str, redis_server: RedisServer) -> None:
    port = str(redis_server.port)
    assert check("redis", port=port, secret_mount_path=secrets) == (0, "")
    code, said = check("redis", port=port)
    assert code == 1
    assert "NOAUTH" in said
    code, said = check("redis", port=str(free_port()), secret_mount_path=secrets)
    assert code == 1
    assert "refused" in said


def test_the_gateway_is_well_when_it_serves(tmp_path: Path, redis_server: RedisServer) -> None:
    with GatewayProcess(tmp_path, redis_server.address, redis_server.password, "fastlane") as gateway:
        assert check("gateway", port=str(gateway.port)) == (0, "")
    code, said = check("gateway", port=str(gateway.port))
    assert code == 1
    assert "refused" in said


def test_a_worker_is_well_once_it_is_registered(tmp_path: Path, secrets: str, redis_server: RedisServer) -> None:
    environment = {"faas_redis_address": redis_server.address, "secret_mount_path": secrets}
    assert check("worker", **environment) == (1, "worker: it is not registered in Redis")
    with WorkerProcess(tmp_path, redis_server.address, redis_server.password):
        wait_until(lambda: check("worker", **environment) == (0, ""), timeout=20)


def test_a_worker_that_has_gone_silent_is_not_well(secrets: str, redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.sadd("rq:workers", "rq:worker:w")
        entry = {"hostname": socket.gethostname(), "last_heartbeat": "2026-01-01T00:00:00.000000Z"}
        client.hset("rq:worker:w", mapping=entry)
    code, said = check("worker", faas_redis_address=redis_server.address, secret_mount_path=secrets)
    assert code == 1
    assert "its last sign of life is" in said


def test_a_worker_without_redis_is_left_alone(secrets: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert check("worker", faas_redis_address=address, secret_mount_path=secrets) == (0, "")


def test_an_unknown_program_is_wrong_usage() -> None:
    code, said = check("prometheus")
    assert code == 2
    assert "expected one of gateway, redis, worker" in said
