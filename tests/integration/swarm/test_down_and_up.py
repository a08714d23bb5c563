"""deploy_extended.py on a real swarm, as a user runs it: interrupted, taken down, up again, and by Docker's command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any

import pytest
import requests

from tests.support import base_image
from tests.support.images import watchdog_image
from tests.support.processes import REPOSITORY, ChildProcess
from tests.support.swarm_command import STACK, Command
from tests.support.waiting import wait_until

ECHO = {"service": "echo", "envProcess": "cat"}

# Each test works alone; in this order most find what they start from as the one before has left it.


def test_an_up_that_was_killed_can_be_taken_down(clean: Command) -> None:
    assert clean.run("down").returncode == 0
    up = clean.start_up()
    up.wait_for_log("trial_gateway: creating")
    up.kill()
    done = clean.run("down")
    assert done.returncode == 0, done.stderr
    assert clean.replicas() == {}
    assert clean.run("down").stdout.startswith("nothing to do")


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


def test_an_interrupted_down_is_gone_on_with_and_names_who_holds_a_network(running: Command) -> None:
    with contextlib.closing(running.engine.client()) as client:
        network = f"{STACK}_functions"
        guest = client.containers.run(base_image.NAME, ["sleep", "600"], name="guest", network=network, detach=True)
        down = ChildProcess(running.words("down"), running.folder / "down.log", running.environment())
        down.wait_for_log("trial_worker: stopping")
        down.send(signal.SIGINT)
        assert down.wait(30) == 130
        done = running.run("down")
        guest.remove(force=True)
        assert done.returncode == 1
        assert f"cannot remove the network {network}: it is still used by the container guest." in done.stderr
        assert "`docker rm -f`" in done.stderr
        assert running.run("down").returncode == 0
        assert not client.networks.list(names=[network])
    assert running.replicas() == {}


def test_docker_s_own_command_deploys_the_same_file_after_prepare(clean: Command) -> None:
    assert clean.run("down").returncode == 0
    done = clean.run("prepare", "--image", clean.image)
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
