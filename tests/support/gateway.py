"""The real gateway as a process of its own, with a local provider."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from swarmfn.provider.local import stop_all
from tests.support.processes import ChildProcess, free_port
from tests.support.waiting import wait_until

USER = "admin"
PASSWORD = "only: for tests ü"
DATA_PLANES = ("fastlane", "flask")


class GatewayProcess:
    """`python -m gateway`, serving on a loopback port until the `with` block ends; its functions end with it.

    `settings` are further environment variables. `request` and its short forms send the right credentials and do not
    follow redirects; they go to the management port where there is one.
    """

    def __init__(
        self, directory: Path, redis_address: str, redis_password: str, data_plane: str, **settings: str
    ) -> None:
        self.state_dir = directory / "state"
        self.port = free_port()
        self.management_port = int(settings.get("management_port", self.port))
        _write_secrets(directory / "secrets", redis_password)
        environment = {
            "port": str(self.port),
            "listen_address": "127.0.0.1",
            "data_plane": data_plane,
            "secret_mount_path": str(directory / "secrets"),
            "faas_redis_address": redis_address,
            "local_state_dir": str(self.state_dir),
            **settings,
        }
        self._start: Callable[[], ChildProcess] = lambda: ChildProcess(
            [sys.executable, "-m", "gateway"], directory / "gateway.log", environment
        )
        self.process = self._start()
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def log(self) -> str:
        return self.process.log()

    def kill_and_restart(self) -> None:
        """SIGKILL, and a new gateway on the same port and state directory."""
        self.process.kill()
        known = self.log().count("event=ready")
        self.process = self._start()
        wait_until(lambda: self.log().count("event=ready") > known, message="the gateway is ready again")

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """The reply to one request; `auth=None` sends no credentials."""
        options.setdefault("auth", (USER, PASSWORD.encode()))
        url = f"http://127.0.0.1:{self.management_port}{path}"
        return self._session.request(method, url, allow_redirects=False, timeout=60, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def deploy(self, name: str, **fields: Any) -> None:
        """Deploys a function that runs `cat` (or what `fields` say) and waits until it is ready."""
        body = {"service": name, "image": "any/image:1", "envProcess": "cat", **fields}
        response = self.post("/system/functions", json=body)
        assert response.status_code == 202, response.text
        wait_until(lambda: self.get(f"/system/function/{name}").json()["availableReplicas"], message=f"{name} is ready")

    def remove_all(self) -> None:
        """Deletes every function."""
        for function in self.get("/system/functions").json():
            self.request("DELETE", "/system/functions", json={"functionName": function["name"]})

    def __enter__(self) -> GatewayProcess:
        self.process.wait_for_log("event=ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        self.process.end()
        stop_all(self.state_dir, timeout=0.5)


def _write_secrets(directory: Path, redis_password: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "basic-auth-user").write_text(USER)
    (directory / "basic-auth-password").write_text(PASSWORD)
    (directory / "redis-password").write_text(redis_password)
