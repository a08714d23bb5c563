"""The engines that other tests rely on: alone on a machine of their own, and gone afterwards."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import requests
from docker.types import EndpointSpec, RestartPolicy

from tests.support.docker_engine import DockerEngine, need_engine
from tests.support.processes import REPOSITORY, ChildProcess
from tests.support.waiting import wait_until

SERVE = ["python3", "-m", "http.server", "8080"]


def test_a_service_runs_and_this_machine_reaches_what_it_publishes(docker_engine: DockerEngine) -> None:
    with contextlib.closing(docker_engine.client()) as client:
        service = client.services.create(
            "debian-python:12",
            SERVE,
            name="published",
            endpoint_spec=EndpointSpec(mode="dnsrr", ports={18080: (8080, "tcp", "host")}),
            restart_policy=RestartPolicy("none"),
        )
        try:
            url = f"http://{docker_engine.address}:18080/"
            assert wait_until(lambda: requests.get(url, timeout=5).status_code, 60) == 200
        finally:
            service.remove()


def test_containers_get_out(docker_engine: DockerEngine) -> None:
    """A build's `pip install` needs that."""
    command = ["pip", "download", "--no-deps", "--no-cache-dir", "-d", "/tmp", "six"]
    with contextlib.closing(docker_engine.client()) as client:
        assert b"Successfully downloaded" in client.containers.run("debian-python:12", command, remove=True)


def test_commands_on_its_machine_see_its_network(docker_engine: DockerEngine) -> None:
    seen = subprocess.run(docker_engine.enter("ip", "-o", "addr"), capture_output=True, text=True, check=True).stdout
    assert docker_engine.address in seen
    assert "docker0" in seen
    assert "docker0" not in subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout


def test_an_engine_comes_back_with_its_swarm_after_each_kind_of_end(tmp_path: Path) -> None:
    with DockerEngine("other", tmp_path) as engine:
        engine.init_swarm()
        address = engine.address
        for end in (engine.stop, engine.kill, engine.lose):
            end()
            engine.start()
            with contextlib.closing(engine.client()) as client:
                node = wait_until(functools.partial(_node_address, client))
            assert node == address == engine.address


def _node_address(client: docker.DockerClient) -> str:
    return str(client.info()["Swarm"]["NodeAddr"])


def test_nothing_is_left_when_a_run_is_killed(tmp_path: Path) -> None:
    need_engine()
    program = "from pathlib import Path\nfrom tests.support.docker_engine import DockerEngine\n"
    program += f"engine = DockerEngine('left', Path({str(tmp_path / 'engine')!r}))\nprint(engine.address, flush=True)\n"
    program += "import time; time.sleep(600)\n"
    with ChildProcess([sys.executable, "-c", program], tmp_path / "log", cwd=REPOSITORY) as run:
        run.wait_for_log("10.77.", 60)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    wait_until(lambda: not _processes_naming(tmp_path), message="its dockerd has ended")


def _processes_naming(folder: Path) -> list[str]:
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            commands.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in commands if command.startswith("dockerd") and str(folder) in command]


@pytest.mark.parametrize(
    ("command", "before", "reason"),
    [
        # It may be that only root may read the checkout.
        ([], "os.seteuid(65534)", "needs root"),
        (["env", "PATH=/nonexistent"], "", "no dockerd, iptables"),
        (["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"], "", "refuses namespaces"),
        (["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"], "", "refuses namespaces"),
    ],
)
def test_where_no_engine_can_be_started_a_test_is_skipped_with_the_reason(
    command: list[str], before: str, reason: str
) -> None:
    program = f"import os\nfrom tests.support.docker_engine import need_engine\n{before}\nneed_engine()"
    environment = {**os.environ, "REQUIRE": "", "PYTHONDONTWRITEBYTECODE": "1"}
    run = [*command, sys.executable, "-c", program]
    done = subprocess.run(run, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert reason in done.stderr
    assert "Skipped" in done.stderr
