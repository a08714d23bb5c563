"""The product as processes of this machine, by the commands of deploy_extended.py, without examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stack.credentials import read_credentials
from stack.examples import deploy_examples
from stack.function_files import load_functions
from stack.gateway_client import GatewayClient
from stack.state import StateDirectory
from tests.support.processes import REPOSITORY, ChildProcess, free_port, is_running

Completed = subprocess.CompletedProcess[str]


class Stack:
    """A state directory and the commands on it, of the product in `root`."""

    def __init__(self, folder: Path, root: Path = REPOSITORY) -> None:
        self.root = root
        self.folder = folder
        self.state = StateDirectory(folder / "state")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(self.root / "deploy_extended.py"), *words, "--state-dir", str(self.state.root)]

    def run(self, *words: str, **environment: str) -> Completed:
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            timeout=300,
            check=False,
        )

    def up(self, *words: str, **environment: str) -> Completed:
        return self.run("up", "--no-examples", "--port", str(self.port), *words, **environment)

    def up_with_examples(self, **environment: str) -> Completed:
        return self.run("up", "--engine", "local", "--port", str(self.port), **environment)

    def start(self, *words: str) -> ChildProcess:
        """`up` as a process that can be interrupted."""
        command = self.command("up", "--no-examples", "--port", str(self.port), *words)
        return ChildProcess(command, self.folder / f"up-{free_port()}.log")

    def status(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.run("status", "--json").stdout)
        return document

    def pids(self) -> dict[str, int]:
        services = self.status()["services"]
        assert isinstance(services, list)
        return {service["name"]: service["pid"] for service in services}


def processes_of(stack: Stack) -> list[str]:
    """Command lines that name the state directory, except this test's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (path.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(stack.state.root) in text + environment and is_running(int(path.parent.name)):
            found.append(text)
    return found


def deployer(
    stack: Stack, path: Path, said: list[str], timeout: float = 120
) -> Callable[[], tuple[bool, dict[str, str]]]:
    credentials = read_credentials(stack.state)
    assert credentials is not None

    def deploy() -> tuple[bool, dict[str, str]]:
        with GatewayClient(f"127.0.0.1:{stack.port}", credentials) as gateway:
            return deploy_examples(gateway, load_functions(path), said.append, timeout)

    return deploy
