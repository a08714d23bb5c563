"""deploy_extended.py on a real swarm, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from stack.swarm.services import StackServices
from tests.support.docker_engine import DockerEngine
from tests.support.images import stack_image, watchdog_image
from tests.support.processes import REPOSITORY, ChildProcess
from tests.support.waiting import wait_until

Completed = subprocess.CompletedProcess[str]
STACK = "trial"
PORT = 7080
ECHO = {"service": "echo", "envProcess": "cat"}


class Command:
    """deploy_extended.py with a state directory of its own, for one stack on the engine."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.state = folder / "state"
        self.url = f"http://{engine.address}:{PORT}"
        self._image = stack_image(engine)

    def words(self, *words: str) -> list[str]:
        program = [sys.executable, str(REPOSITORY / "deploy_extended.py")]
        return [*program, *words, "--state-dir", str(self.state), "--stack", STACK]

    def environment(self, **variables: str) -> dict[str, str]:
        return {"DOCKER_HOST": self.engine.url, "REDIS_IMAGE": self._image, **variables}

    def run(self, *words: str, **variables: str) -> Completed:
        environment = {**os.environ, **self.environment(**variables)}
        command = self.words(*words)
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)

    def up_words(self, *more: str) -> tuple[str, ...]:
        return ("up", "--no-examples", "--port", str(PORT), "--image", self._image, *more)

    def up(self, *more: str, **variables: str) -> Completed:
        return self.run(*self.up_words(*more), **variables)

    def start_up(self, **variables: str) -> ChildProcess:
        """`up` as a process that can be interrupted."""
        log = self.folder / f"up-{time.monotonic_ns()}.log"
        return ChildProcess(self.words(*self.up_words()), log, self.environment(**variables))

    def system(self, method: str, path: str, **options: object) -> requests.Response:
        user, _, password = (self.state / "credentials").read_text().splitlines()[0].partition(":")
        return requests.request(method, self.url + path, auth=(user, password), timeout=30, **options)  # type: ignore[arg-type]

    def replicas(self) -> dict[str, str]:
        """The id of the replica that runs, by service."""
        with contextlib.closing(self.engine.client()) as client:
            services = StackServices(client, STACK)
            tasks = {name: services.tasks(found.id) for name, found in services.present().items()}
        return {name: next((task.id for task in found if task.is_running), "") for name, found in tasks.items()}

    def leftovers(self) -> set[str]:
        """The names of everything on the swarm that a stack can leave."""
        with contextlib.closing(self.engine.client()) as client:
            api = client.api
            found = [entry["Spec"]["Name"] for entry in [*api.services(), *api.configs(), *api.secrets()]]
            found += [entry["Name"] for entry in [*api.networks(), *(api.volumes()["Volumes"] or [])]]
        return set(found) - {"bridge", "host", "none", "ingress", "docker_gwbridge"}


@pytest.fixture(scope="module")
def clean(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """No stack yet; at the end everything is purged, and nothing may be left."""
    command = Command(docker_engine, tmp_path_factory.mktemp("stack"))
    before = command.leftovers()
    yield command
    done = command.run("down", "--purge")
    assert done.returncode == 0, done.stderr
    assert command.leftovers() == before
    assert not command.state.exists()


@pytest.fixture
def running(clean: Command) -> Command:
    """The stack runs as described."""
    done = clean.up()
    assert done.returncode == 0, done.stderr
    return clean


def test_up_starts_a_healthy_stack_and_a_second_one_has_nothing_to_do(clean: Command) -> None:
    done = clean.up()
    assert done.returncode == 0, done.stderr
    assert f"gateway       {clean.url}" in done.stdout
    assert set(clean.replicas()) == {"trial_gateway", "trial_worker", "trial_redis"}
    assert requests.get(f"{clean.url}/healthz", timeout=10).status_code == 200
    assert clean.system("GET", "/system/info").json()["provider"]["orchestration"] == "swarm"
    limits = {row["setting"]: row["limit"] for row in clean.system("GET", "/system/limits").json()}
    assert 0 < limits["redis_maxmemory"] <= 2**30, "half of the container's two gigabytes"
    assert "redis_maxmemory" in clean.run("status").stdout
    before = clean.replicas()
    again = clean.up()
    assert (again.returncode, clean.replicas()) == (0, before)
    assert again.stdout.startswith("nothing to do")


def test_a_changed_setting_replaces_only_the_service_it_concerns(running: Command) -> None:
    before = running.replicas()
    done = running.up(callback_timeout="31s")
    assert done.returncode == 0, done.stderr
    assert "trial_worker: updating" in done.stderr
    after = running.replicas()
    assert {name for name in after if after[name] != before[name]} == {"trial_worker"}
    assert running.up().returncode == 0


def test_management_moves_to_a_port_of_its_own_and_back(running: Command) -> None:
    port = PORT + 1
    before = running.replicas()
    done = running.up("--management-port", str(port))
    assert done.returncode == 0, done.stderr
    managed_at = f"http://{running.engine.address}:{port}"
    assert f"{managed_at}/ui/" in done.stdout
    after = running.replicas()
    assert {name for name in after if after[name] != before[name]} == {"trial_gateway"}
    assert running.system("GET", "/system/info").status_code == 404
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200
    assert requests.get(f"{managed_at}/system/info", timeout=10).status_code == 401
    assert f"management {managed_at}" in running.run("status").stdout
    assert running.up("--management-port", "0").returncode == 0
    assert running.system("GET", "/system/info").status_code == 200


def test_a_setting_that_the_gateway_refuses_is_undone_and_named(running: Command) -> None:
    before = set(running.replicas())
    done = running.up(upstream_timeout="soon")
    assert done.returncode == 1
    assert "It refuses its settings" in done.stderr
    assert "'soon'" in done.stderr
    assert set(running.replicas()) == before
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200
    assert running.up().stdout.startswith("nothing to do")


def test_an_image_that_cannot_be_had_changes_nothing(running: Command) -> None:
    before = running.replicas()
    done = running.run("up", "--no-examples", "--image", "localhost:1/nothing:1")
    assert done.returncode == 1
    assert "cannot pull the image localhost:1/nothing:1" in done.stderr
    assert running.replicas() == before


def test_a_server_that_cannot_read_the_data_is_refused_before_anything_stops(running: Command) -> None:
    before = running.replicas()
    file = running.state / "settings.json"
    kept = file.read_text()
    file.write_text(json.dumps({**json.loads(kept), "redis_reference": "newer", "redis_server": "Valkey 99.0.0"}))
    done = running.up()
    file.write_text(kept)
    assert done.returncode == 1
    assert re.search(r"was written by Valkey 99\.0\.0, and the image \S+ holds Valkey \d", done.stderr), done.stderr
    assert running.replicas() == before


def test_functions_and_calls_survive_down_and_up(running: Command) -> None:
    body = {**ECHO, "image": watchdog_image(running.engine), "labels": {"a": "b"}}
    assert running.system("POST", "/system/functions", json=body).status_code in (200, 202)
    # Due while nothing is there, so that the worker starts with it, before the function is there again.
    accepted = requests.post(f"{running.url}/async-function/echo", data=b"x", headers={"X-Delay": "2s"}, timeout=10)
    assert accepted.status_code == 202
    assert running.run("down").returncode == 0
    assert running.replicas() == {}
    done = running.up()
    assert done.returncode == 0, done.stderr
    (status,) = wait_until(lambda: running.system("GET", "/system/functions").json(), timeout=20)
    assert (status["name"], status["envProcess"], status["labels"]["a"]) == ("echo", body["envProcess"], "b")
    call = f"{running.url}/async-function/{accepted.headers['X-Call-Id']}"
    found = wait_until(lambda: _ended(call), timeout=120, message="the call has ended")
    assert (found["state"], found["response"]["status"]) == ("succeeded", 200), found
    assert running.system("DELETE", "/system/functions", json={"functionName": "echo"}).status_code in (200, 202)


def _ended(call: str) -> dict[str, Any]:
    """How a call ended; {} while it has not."""
    found: dict[str, Any] = requests.get(call, timeout=10).json()
    return found if "endedAt" in found else {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_is_gone_on_with(clean: Command, number: signal.Signals) -> None:
    assert clean.run("down").returncode == 0
    up = clean.start_up()
    up.wait_for_log("trial_redis: creating")
    up.send(number)
    assert up.wait(30) == 130
    assert "the next up or down goes on from here" in up.log()
    done = clean.up()
    assert done.returncode == 0, done.stderr
    assert requests.get(f"{clean.url}/healthz", timeout=10).status_code == 200


def test_an_up_that_was_killed_can_be_taken_down(clean: Command) -> None:
    assert clean.run("down").returncode == 0
    up = clean.start_up()
    up.wait_for_log("trial_gateway: creating")
    up.kill()
    done = clean.run("down")
    assert done.returncode == 0, done.stderr
    assert clean.replicas() == {}
    assert clean.run("down").stdout.startswith("nothing to do")


def test_an_interrupted_down_is_gone_on_with(running: Command) -> None:
    down = ChildProcess(running.words("down"), running.folder / "down.log", running.environment())
    down.wait_for_log("trial_worker: stopping")
    down.send(signal.SIGINT)
    assert down.wait(30) == 130
    assert running.run("down").returncode == 0
    assert running.replicas() == {}


def test_passwords_that_were_made_elsewhere_are_not_guessed(running: Command, tmp_path: Path) -> None:
    done = Command(running.engine, tmp_path).up()
    assert done.returncode == 1
    assert "Docker does not give secrets back" in done.stderr
    assert "--state-dir" in done.stderr
    assert requests.get(f"{running.url}/healthz", timeout=10).status_code == 200


def test_docker_s_own_command_deploys_the_same_file_after_prepare(clean: Command) -> None:
    assert clean.run("down").returncode == 0
    done = clean.run("prepare", "--image", stack_image(clean.engine))
    assert done.returncode == 0, done.stderr
    assert clean.replicas() == {}
    command = next(line for line in done.stdout.splitlines() if "docker stack deploy" in line)
    environment = {**os.environ, "DOCKER_HOST": clean.engine.url}
    subprocess.run(command, shell=True, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    wait_until(lambda: len(clean.replicas()) == 3 and "" not in clean.replicas().values(), timeout=90)
    assert clean.system("GET", "/system/info").status_code == 200
    # What Docker's command made is brought under `up`, and both can go on with it.
    done = clean.up()
    assert done.returncode == 0, done.stderr
    assert clean.up().stdout.startswith("nothing to do")
