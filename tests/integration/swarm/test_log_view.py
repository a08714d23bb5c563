"""The logs of services and functions, from a real engine."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from stack.errors import StackError
from stack.swarm.log_view import logs
from tests.support.docker_engine import DockerEngine
from tests.support.processes import ChildProcess
from tests.support.swarm_services import make_service, replicas
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_services")

COUNTING = "import time\nfor n in range(5): print('line', n)\ntime.sleep(1e6)"
NAMING = "import os, time\nprint('I am', os.uname().nodename)\ntime.sleep(1e6)"
FOLLOWER = """
import sys, docker
from stack.swarm.log_view import logs
client = docker.DockerClient(base_url=sys.argv[1], version="1.41")
logs(client, "logged", sys.argv[2], int(sys.argv[3]), True, lambda line: print(line, flush=True))
print("followed to the end", flush=True)
"""


@pytest.fixture
def lines(client: docker.DockerClient) -> Callable[..., list[str]]:
    def lines(name: str | None = None, count: int = 50) -> list[str]:
        found: list[str] = []
        logs(client, "logged", name, count, False, found.append)
        return found

    return lines


def test_the_last_lines_of_a_service(client: docker.DockerClient, lines: Callable[..., list[str]]) -> None:
    make_service(client, "logged_worker", COUNTING, stack="logged")
    wait_until(lambda: len(lines("worker")) == 5)
    assert lines("worker", 2) == ["worker.1     | line 3", "worker.1     | line 4"]
    assert lines("worker", 0) == []


def test_as_many_lines_as_asked_for(client: docker.DockerClient, lines: Callable[..., list[str]]) -> None:
    program = "for n in range(3000): print(n)\ninput()"
    make_service(client, "logged_worker", program, stack="logged", open_stdin=True)
    wait_until(lambda: len(lines("worker", 5000)) == 3000)
    assert lines("worker", 2500) == [f"worker.1     | {n}" for n in range(500, 3000)]


def test_replicas_are_told_apart_and_their_lines_in_order(
    client: docker.DockerClient, lines: Callable[..., list[str]]
) -> None:
    program = "import time\nfor n in range(8): print(time.time()); time.sleep(0.3)\ntime.sleep(1e6)"
    make_service(client, "logged_worker", program, stack="logged", replicas=3)
    wait_until(lambda: len(lines("worker")) == 24)
    found = [line.split(" | ") for line in lines("worker")]
    assert {label.strip() for label, _ in found} == {"worker.1", "worker.2", "worker.3"}
    # The engine stamps a line a moment after it was written; one replica after the other would be 2 s off.
    written = [float(text) for _, text in found]
    assert all(later > earlier - 1 for earlier, later in itertools.pairwise(written))
    assert lines("worker", 5) == [" | ".join(pair) for pair in found[-5:]]


def test_everything_together_and_functions_by_name(
    client: docker.DockerClient, lines: Callable[..., list[str]]
) -> None:
    client.networks.create("logged_functions", driver="overlay", labels={"openfaas": "true"})
    make_service(client, "logged_gateway", "print('from the gateway'); input()", stack="logged", open_stdin=True)
    make_service(client, "logged_redis", "print('from redis'); input()", stack="logged", open_stdin=True)
    make_service(client, "echo", "print('from echo'); input()", open_stdin=True, networks=("logged_functions",))
    wait_until(lambda: len(lines()) == 2 and len(lines("echo")) == 1)
    assert sorted(lines()) == ["gateway.1    | from the gateway", "redis.1      | from redis"]
    assert lines("echo") == ["echo.1       | from echo"]
    with pytest.raises(StackError, match=r'no log of "nothing"\. There are: echo, gateway, redis\.'):
        lines("nothing")


def test_a_long_line_is_one_line(client: docker.DockerClient, lines: Callable[..., list[str]]) -> None:
    make_service(client, "logged_worker", "print('x' * 50000); input()", stack="logged", replicas=2, open_stdin=True)
    wait_until(lambda: len(lines("worker")) == 2)
    assert sorted(len(line.partition(" | ")[2]) for line in lines("worker")) == [50000, 50000]


def test_a_terminals_output(client: docker.DockerClient, lines: Callable[..., list[str]]) -> None:
    make_service(client, "logged_worker", COUNTING, stack="logged", tty=True)
    wait_until(lambda: len(lines("worker")) == 5)
    assert lines("worker", 1) == ["worker.1     | line 4"]


def test_following_misses_nothing_repeats_nothing_and_ends_with_the_service(
    client: docker.DockerClient, docker_engine: DockerEngine, lines: Callable[..., list[str]], tmp_path: Path
) -> None:
    program = "import time\nn = 0\nwhile True: print(n); n += 1; time.sleep(0.01)"
    made = make_service(client, "logged_worker", program, stack="logged")
    wait_until(lambda: len(lines("worker")) >= 50)
    with _follower(docker_engine, tmp_path, "worker", 10) as follower:
        wait_until(lambda: len(follower.log().splitlines()) > 300)
        client.services.get(made).remove()
        wait_until(lambda: follower.exit_code == 0, message="it ends with the service")
        shown = follower.log().splitlines()
    assert shown[-1] == "followed to the end"
    numbers = [int(line.partition(" | ")[2]) for line in shown[:-1]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_following_goes_on_with_replicas_that_come_later(
    client: docker.DockerClient, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    made = make_service(client, "logged_worker", NAMING, stack="logged")
    wait_until(lambda: replicas(client))
    with _follower(docker_engine, tmp_path, "worker", 10) as follower:
        wait_until(lambda: "I am" in follower.log())
        replicas(client)[0].kill()
        wait_until(lambda: follower.log().count("worker.1     | I am") == 2, message="one in another's place")
        client.services.get(made).scale(2)
        wait_until(lambda: "worker.2     | I am" in follower.log(), message="one more")


def _follower(engine: DockerEngine, folder: Path, *arguments: object) -> ChildProcess:
    command = [sys.executable, "-c", FOLLOWER, engine.url, *map(str, arguments)]
    return ChildProcess(command, folder / "followed")
