"""A real image registry that the tests' engines reach."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from types import TracebackType

import requests
from requests.auth import HTTPBasicAuth

from tests.support.engine_network import EngineNetwork
from tests.support.processes import ChildProcess
from tests.support.requirements import missing
from tests.support.waiting import wait_until

_PROGRAM = "docker-registry"
_FIRST_PORT = 5000
_CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http:
  addr: {address}
"""
_AUTH = """
auth:
  htpasswd: {{realm: tests, path: {path}}}
"""

USER, PASSWORD = "reader", 'pa:ss wörd"'
OTHER_PASSWORD = "an other"
_HASHES = {
    PASSWORD: "$2b$04$JMgFH.935UBEXJC.j.PyTenHwI7KChAoYlx2TiTByBPGxj4/XzlrW",
    OTHER_PASSWORD: "$2b$04$37fWfWqIoBYB20zEtx6b9OGRhL05uusxpca4fw.XaLQIGKtkRGYba",
}


class Registry:
    """Listens on this machine's address in `network`; engines there take it without TLS. Use it as a context manager.

    Its log, with a line for each request, is the file `log_path`. `needs_login`: of USER with PASSWORD, for everything.
    """

    def __init__(self, root: Path, network: EngineNetwork, needs_login: bool = False) -> None:
        program = shutil.which(_PROGRAM)
        if program is None:
            missing("swarm", f"no {_PROGRAM} on PATH. As root on Debian: apt-get install {_PROGRAM}")
        root.mkdir(parents=True, exist_ok=True)
        # Nobody else is on that address, so that any port is free; two registries do not share a network.
        self.address = f"{network.gateway}:{_FIRST_PORT}"
        """host:port, what an image's name begins with."""
        self.log_path = root / "registry.log"
        config = root / "config.yml"
        config.write_text(_CONFIG.format(data=root / "data", address=self.address))
        self._password: str | None = None
        self._htpasswd = root / "htpasswd"
        if needs_login:
            self._let_in(PASSWORD)
            with config.open("a") as file:
                file.write(_AUTH.format(path=self._htpasswd))
        environment = {name: "" for name in os.environ if name.startswith("REGISTRY_")}
        self._process = ChildProcess([program, "serve", config], self.log_path, environment)
        try:
            wait_until(self._answers, message=f"the registry answers; its log is {self.log_path}")
        except BaseException:
            self.close()
            raise

    def repositories(self) -> list[str]:
        """What has been pushed."""
        answer = requests.get(f"http://{self.address}/v2/_catalog", auth=self._auth, timeout=10)
        return list(answer.json()["repositories"])

    @property
    def login(self) -> str:
        """The login as Docker's configuration has it."""
        return base64.b64encode(f"{USER}:{self._password}".encode()).decode()

    def docker_config(self, folder: Path) -> dict[str, str]:
        """The variable that makes Docker's clients log in here, as after `docker login`: with a configuration file in
        `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": self.login}}}))
        return {"DOCKER_CONFIG": str(folder)}

    def change_password(self) -> None:
        """From now on only OTHER_PASSWORD is let in."""
        self._let_in(OTHER_PASSWORD)

    @property
    def _auth(self) -> HTTPBasicAuth | None:
        return None if self._password is None else HTTPBasicAuth(USER.encode(), self._password.encode())

    def _let_in(self, password: str) -> None:
        self._password = password
        # It reads the file again when its time of change is another one.
        self._htpasswd.write_text(f"{USER}:{_HASHES[password]}\n")

    def close(self) -> None:
        self._process.kill()

    def _answers(self) -> bool:
        if self._process.exit_code is not None:
            raise RuntimeError(f"the registry ended with {self._process.exit_code}:\n{self._process.log()}")
        return requests.get(f"http://{self.address}/v2/", auth=self._auth, timeout=5).ok

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
