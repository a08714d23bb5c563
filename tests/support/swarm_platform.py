"""The whole product on a Docker Swarm, started as a user starts it, on an engine of the tests' own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import base_image
from tests.support.docker_engine import DockerEngine
from tests.support.platform import Platform
from tests.support.processes import REPOSITORY
from tests.support.waiting import wait_until

PORT = 8080


class SwarmPlatform(Platform):
    """`python3 deploy_extended.py --engine swarm`, talking to `engine`.

    `stack` names the stack; `variables` are added to the command's environment, such as `redis_appendfsync`.
    """

    def __init__(self, engine: DockerEngine, state: Path, stack: str = "swarmfn", **variables: str) -> None:
        super().__init__(state, PORT, **variables)
        self.engine = engine
        self.stack = stack
        self.url = f"http://{engine.address}:{PORT}"

    def command(self, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Runs one command of deploy_extended.py and returns what it said."""
        options = ("--engine", "swarm", "--stack", self.stack, "--state-dir", str(self.state))
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "deploy_extended.py"), *words, *options],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the command finds in its environment."""
        return {"DOCKER_HOST": self.engine.url, "SWARMFN_BASE_IMAGE": base_image.NAME, **self.variables}

    def up(self, *words: str) -> str:
        done = self.command("up", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, name: str, **fields: Any) -> None:
        """Deploys or updates a function and waits until it can serve."""
        body = {"service": name, **fields}
        answer = self.system("PUT", "/system/functions", json=body)
        if answer.status_code == 404:
            answer = self.system("POST", "/system/functions", json=body)
        assert answer.status_code == 202, answer.text
        self.wait_for_replicas(name)

    def scale(self, name: str, replicas: int) -> None:
        """Scales the function and waits until as many replicas are healthy."""
        answer = self.system("POST", f"/system/scale-function/{name}", json={"replicas": replicas})
        assert answer.status_code == 202, answer.text
        self.wait_for_replicas(name, replicas)

    def wait_for_replicas(self, name: str, count: int | None = None, timeout: float = 120.0) -> None:
        """Returns when `count` replicas (None: at least one) are healthy, and no more than that."""

        def enough() -> bool:
            found = self.system("GET", f"/system/function/{name}").json()["availableReplicas"]
            return bool(found > 0 if count is None else found == count)

        wait_until(enough, timeout, f"{count or 'some'} replicas of {name}", every=0.25)

    def remove(self, name: str) -> None:
        answer = self.system("DELETE", "/system/functions", json={"functionName": name})
        assert answer.status_code in (202, 404), answer.text

    def image_of(self, name: str) -> str:
        """The image of a function that is deployed."""
        return str(self.system("GET", f"/system/function/{name}").json()["image"])

    def kill_container(self, service: str) -> None:
        """SIGKILL to the first process of one container of a service: `gateway`, `worker`, `redis` or a function."""
        with contextlib.closing(self.engine.client()) as client:
            names = [f"{self.stack}_{service}", service]
            containers = [
                container
                for name in names
                for container in client.containers.list(filters={"label": f"com.docker.swarm.service.name={name}"})
            ]
            assert containers, f"no container of {service}"
            pid = client.api.inspect_container(containers[0].id)["State"]["Pid"]
        self.engine.machine.run("kill", "-9", str(pid))
