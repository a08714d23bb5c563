"""One stack on a swarm by the commands of deploy_extended.py, without examples."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from stack.swarm.services import StackServices
from tests.support import base_image
from tests.support.docker_engine import DockerEngine
from tests.support.images import stack_image
from tests.support.processes import REPOSITORY, ChildProcess

Completed = subprocess.CompletedProcess[str]
STACK = "trial"
PORT = 7080


class Command:
    """deploy_extended.py of the product in `root`, with a state directory of its own, for one stack on the engine."""

    def __init__(self, engine: DockerEngine, folder: Path, root: Path = REPOSITORY) -> None:
        self.root = root
        self.engine = engine
        self.folder = folder
        self.state = folder / "state"
        self.url = f"http://{engine.address}:{PORT}"
        self.image = stack_image(engine)

    def words(self, *words: str) -> list[str]:
        program = [sys.executable, str(self.root / "deploy_extended.py")]
        return [*program, *words, "--state-dir", str(self.state), "--stack", STACK]

    def environment(self, **variables: str) -> dict[str, str]:
        return {"DOCKER_HOST": self.engine.url, "REDIS_IMAGE": self.image, **variables}

    def run(self, *words: str, **variables: str) -> Completed:
        environment = {**os.environ, **self.environment(**variables)}
        command = self.words(*words)
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)

    def up_words(self, *more: str) -> tuple[str, ...]:
        return ("up", "--no-examples", "--port", str(PORT), "--image", self.image, *more)

    def up(self, *more: str, **variables: str) -> Completed:
        return self.run(*self.up_words(*more), **variables)

    def up_with_examples(self) -> Completed:
        return self.run("up", "--port", str(PORT), "--image", self.image, SWARMFN_BASE_IMAGE=base_image.NAME)

    def start_up(self, **variables: str) -> ChildProcess:
        """`up` as a process that can be interrupted."""
        log = self.folder / f"up-{time.monotonic_ns()}.log"
        return ChildProcess(self.words(*self.up_words()), log, self.environment(**variables))

    def system(self, method: str, path: str, **options: Any) -> requests.Response:
        user, _, password = (self.state / "credentials").read_text().splitlines()[0].partition(":")
        return requests.request(method, self.url + path, auth=(user, password), timeout=30, **options)

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
