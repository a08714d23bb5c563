"""The health checks of gateway, worker and Redis on the real programs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from stack.embedded.redis_binary import find_redis_server
from stack.embedded.redis_config import quoted
from tests.support.gateway import GatewayProcess
from tests.support.processes import REPOSITORY, ChildProcess, free_port
from tests.support.redis_server import RedisServer
from tests.support.requirements import missing
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess

_SILENT = {"hostname": socket.gethostname(), "last_heartbeat": "2026-01-01T00:00:00.000000Z"}


def check(program: str, **environment: str) -> tuple[int, str]:
    """The exit code, and the output, without any package of the environment."""
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


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that cannot save, and so takes no writes; a worker was registered in it some time ago, and a job
    has failed."""
    directory = tmp_path_factory.mktemp("full-disk")
    with RedisServer(directory, "--appendonly", "no", "--save", "3600 1") as server, server.client() as client:
        client.sadd("rq:workers", "rq:worker:w")
        client.hset("rq:worker:w", mapping=_SILENT)
        fields = {"status": "failed", "origin": "echo", "data": b"", "created_at": "2026-01-01T00:00:00Z"}
        client.hset("rq:job:j", mapping=fields)
        client.zadd("rq:failed:echo", {"j": 4e9})
        (directory / "dump.rdb" / "in-its-place").mkdir(parents=True)
        client.bgsave()
        wait_until(lambda: _refuses_writes(client), message="it takes no writes")
        yield server
        server.kill()  # it does not end otherwise, as it cannot save


def _refuses_writes(client: redis.Redis) -> bool:
    try:
        client.set("a", "b")
    except redis.ResponseError as exc:
        return "MISCONF" in str(exc)
    return False


def test_a_redis_that_takes_no_writes_is_up_and_nobody_is_to_blame_for_their_silence(
    tmp_path: Path, full_disk: RedisServer
) -> None:
    (tmp_path / "redis-password").write_text(full_disk.password)
    assert check("redis", port=str(full_disk.port), secret_mount_path=str(tmp_path)) == (0, "")
    assert check("worker", faas_redis_address=full_disk.address, secret_mount_path=str(tmp_path)) == (0, "")


def test_the_gateway_says_that_it_is_not_well(tmp_path: Path, full_disk: RedisServer) -> None:
    with GatewayProcess(tmp_path, full_disk.address, full_disk.password, "fastlane") as gateway:
        said = " ".join(gateway.get("/system/warnings").json())
        metrics = gateway.get("/metrics").text
        pages = [gateway.get(f"/ui/rq/{path}").status_code for path in ("", "0/data/queues.json", "0/view/workers")]
        change = gateway.post("/ui/rq/requeue/echo")
        log = gateway.log()
    assert pages == [200] * 3, "they only read"
    assert (change.status_code, change.headers["Retry-After"]) == (503, "5"), change.text
    for sentence in ("its append-only file is off", "Redis cannot write to its disk"):
        assert sentence in said
        assert sentence in log
    assert 'swarmfn_redis_shortcoming{kind="cannot_save"} 1.0' in metrics
    assert 'swarmfn_redis_shortcoming{kind="evicting"} 0.0' in metrics


def test_the_compose_file_asks_redis_whether_it_is_up(
    tmp_path: Path, full_disk: RedisServer, redis_server: RedisServer
) -> None:
    if shutil.which("redis-cli") is None:
        missing("redis", "there is no redis-cli here: apt-get install redis-server")
    compose = yaml.safe_load((REPOSITORY / "docker-compose.swarm.yml").read_text())
    line = compose["services"]["redis"]["healthcheck"]["test"].replace("$$", "$")
    (tmp_path / "redis-password").write_text(full_disk.password)

    mark = tmp_path / "is-well"
    line = line.replace("/run/secrets", str(tmp_path)).replace("/tmp/is-well", str(mark))
    # In the one place it waits while all is well, in the other after something was wrong.
    assert "sleep 10;" in line
    assert "sleep 4\n" in line
    line = line.replace("sleep 10", "sleep 0.1").replace("sleep 4", "sleep 0.1")

    def code(server: RedisServer) -> int:
        told = line.replace("redis-cli exists", f"redis-cli -p {server.port} exists")
        return subprocess.run(["sh", "-c", told], capture_output=True, check=False).returncode

    assert code(full_disk) == 0
    assert mark.exists()
    (tmp_path / "redis-password").write_text(redis_server.password)
    assert code(redis_server) == 0
    (tmp_path / "redis-password").write_text("wrong")
    assert code(redis_server) == 1
    assert not mark.exists()
    assert code(redis_server) == 1


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
        client.hset("rq:worker:w", mapping=_SILENT)
    code, said = check("worker", faas_redis_address=redis_server.address, secret_mount_path=secrets)
    assert code == 1
    assert "its last sign of life is" in said


def test_a_worker_without_redis_is_left_alone(secrets: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert check("worker", faas_redis_address=address, secret_mount_path=secrets) == (0, "")


def test_a_worker_s_redis_may_be_named_by_a_url(redis_server: RedisServer) -> None:
    said = check("worker", faas_redis_address=f"{redis_server.url.removesuffix('0')}3")
    assert said == (1, "worker: it is not registered in Redis")


@pytest.mark.parametrize("password", ["with space", "hash#tag", 'quo"te', "sin'gle", "back\\n", "$HOME", "100%"])
def test_the_compose_file_gives_redis_any_password(tmp_path: Path, password: str) -> None:
    assert f"requirepass {quoted(password)}\n" in written_by_the_compose_file(tmp_path, password).read_text()


def test_redis_reads_that_as_the_password_it_is(tmp_path: Path) -> None:
    password = "both \" ' #$HOME `id` \\n \\ 100% %41 ünï " + "x" * 200 + " "
    port = free_port()
    file = written_by_the_compose_file(tmp_path, password)
    command: list[str | Path] = [find_redis_server(), file, "--port", str(port), "--bind", "127.0.0.1"]
    with (
        ChildProcess(command, tmp_path / "redis.log") as process,
        redis.Redis(port=port, password=password) as client,
        redis.Redis(port=port, password=password.strip()) as stranger,
    ):
        process.wait_for_log("Ready to accept connections")
        assert client.ping()
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


def written_by_the_compose_file(folder: Path, password: str) -> Path:
    """The configuration that the command of its Redis makes in `folder`."""
    compose = yaml.safe_load((REPOSITORY / "docker-compose.swarm.yml").read_text())
    script = compose["services"]["redis"]["command"][2].replace("$$", "$").replace("exec redis-server", "exit 0 #")
    for path in ("/dev/shm", "/run/secrets", "/etc/redis", "/data"):
        script = script.replace(path, str(folder))
    (folder / "settings.conf").touch()
    (folder / "redis-password").write_text(password)
    variables = {**os.environ, "maxmemory": "0", "appendfsync": "no"}
    subprocess.run(["sh", "-c", script], env=variables, check=True)
    return folder / "redis.conf"


def test_a_check_with_a_file_ends_when_the_program_has_become_well(secrets: str, tmp_path: Path) -> None:
    mark = tmp_path / "is-well"
    environment = {"port": str(free_port()), "secret_mount_path": secrets}
    command = [sys.executable, "-S", "-m", "swarmfn.healthcheck", "redis", str(mark)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment) as asking:
        with socket.create_server(("127.0.0.1", int(environment["port"]))) as server:
            _answer_like_redis(server)
        assert asking.wait(30) == 0
    assert mark.exists()


def _answer_like_redis(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as stream:
        for answer in (b"+OK\r\n", b":0\r\n"):
            words = int(stream.readline()[1:])
            for _ in range(2 * words):
                stream.readline()
            connection.sendall(answer)


def test_an_unknown_program_is_wrong_usage() -> None:
    code, said = check("prometheus")
    assert code == 2
    assert "expected one of gateway, redis, worker" in said
