"""The whole product, started as a user starts it, on a port and a state directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.support.processes import REPOSITORY, free_port


class Platform:
    """`python3 deploy_extended.py` with `--engine local`. `url` is the gateway's address without a slash at its end;
    `variables` are added to the command's environment, such as `cors_origins`."""

    def __init__(self, state: Path, port: int | None = None, **variables: str) -> None:
        self.state = state
        self.variables = variables
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs one command of deploy_extended.py and returns what it said."""
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "deploy_extended.py"), *words, "--state-dir", str(self.state)],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.variables},
        )

    def up(self, *words: str) -> str:
        """What `up` printed; fails the test unless it succeeded."""
        done = self.command("up", "--engine", "local", "--port", str(self.port), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def purge(self) -> None:
        done = self.command("down", "--purge")
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def credentials(self) -> tuple[str, str]:
        user, _, password = (self.state / "credentials").read_text().splitlines()[0].partition(":")
        return user, password

    def call(self, name: str, body: bytes = b"", **options: Any) -> requests.Response:
        """A synchronous call."""
        return requests.post(f"{self.url}/function/{name}", data=body, timeout=60, **options)

    def send(self, name: str, body: bytes = b"", callback: str = "", **options: Any) -> str:
        """An asynchronous call; returns its call id once the gateway has said 202."""
        headers = {"X-Callback-Url": callback} if callback else {}
        response = requests.post(f"{self.url}/async-function/{name}", data=body, headers=headers, timeout=60, **options)
        assert response.status_code == 202, (response.status_code, response.text)
        return response.headers["X-Call-Id"]

    def status(self, call_id: str) -> dict[str, Any]:
        response = requests.get(f"{self.url}/async-function/{call_id}", timeout=30)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def cancel(self, call_id: str) -> None:
        response = requests.delete(f"{self.url}/async-function/{call_id}", timeout=30)
        assert response.status_code == 202, response.text

    def result(self, call_id: str) -> requests.Response:
        return requests.get(f"{self.url}/async-function/{call_id}/result", timeout=30)

    def system(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the management API with the credentials."""
        return requests.request(method, f"{self.url}{path}", auth=self.credentials, timeout=30, **options)
