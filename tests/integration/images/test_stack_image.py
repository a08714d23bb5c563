"""The image of the gateway and the worker, and of the queue's server where there is no other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
import pytest

from tests.support import images
from tests.support.containers import Running, Start
from tests.support.docker_engine import DockerEngine
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> str:
    return images.stack_image(docker_engine)


@pytest.fixture(scope="module")
def network(client: docker.DockerClient) -> Iterator[str]:
    network = client.networks.create("stack-image")
    yield network.name
    network.remove()


@pytest.fixture(scope="module")
def redis(network: str, start: Start, image: str) -> Running:
    command = ["redis-server", "--dir", "/data", "--appendonly", "yes", "--protected-mode", "no"]
    return start(image, command, network=network, hostname="redis", name="redis", volumes=["/data"])


@pytest.fixture(scope="module")
def worker(network: str, start: Start, image: str, redis: Running) -> Running:
    return start(image, ["python", "-m", "worker"], network=network)


def test_nothing_runs_as_root_or_could_write_the_code(client: docker.DockerClient, image: str) -> None:
    look = "id -u; find /opt /usr /etc -writable ! -type l -print 2>/dev/null; true"
    assert client.containers.run(image, ["sh", "-c", look], remove=True) == b"1000\n"


def test_the_worker_runs_on_a_read_only_root_and_stops_when_told(worker: Running, redis: Running) -> None:
    from_redis = "import redis; print(redis.Redis().scard('rq:workers'))"
    wait_until(lambda: redis.run("python", "-c", from_redis).strip() == "1", 60, "the worker is registered")
    assert worker.stop() == 0, worker.log()


def test_the_queue_keeps_its_data_in_a_volume_of_the_user(redis: Running) -> None:
    redis.run("python", "-c", "import redis; redis.Redis().set('kept', 'yes')")
    assert redis.stop() == 0, redis.log()
    redis.container.start()
    ask = ["python", "-c", "import redis; print(redis.Redis().get('kept'))"]
    wait_until(lambda: redis.container.exec_run(ask)[1].strip() == b"b'yes'", 30, "the value is there again")


def test_every_program_of_the_gateway_is_there_and_compiled(client: docker.DockerClient, image: str) -> None:
    program = "import gateway.__main__, gateway.app, worker.rq_worker, docker; print(gateway.__cached__)"
    said = client.containers.run(image, ["python", "-c", program], remove=True, read_only=True)
    cached = said.decode().strip()
    client.containers.run(image, ["test", "-s", cached], remove=True)


def test_no_tools_for_building_are_left(client: docker.DockerClient, image: str) -> None:
    look = "ls /opt/venv/bin/pip /opt/swarmfn/tests /root/.cache 2>/dev/null; which gcc cc make; true"
    assert client.containers.run(image, ["sh", "-c", look], remove=True) == b""


def test_a_service_of_it_says_when_a_setting_is_wrong(client: docker.DockerClient, image: str) -> None:
    container = client.containers.create(image, environment={"upstream_timeout": "soon"})
    with contextlib.ExitStack() as ending:
        ending.callback(container.remove, force=True)
        container.start()
        assert container.wait(timeout=60)["StatusCode"] == 2
        assert b"upstream_timeout" in container.logs()
