"""A real image registry that the tests' engines reach."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import requests

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


class Registry:
    """Listens on this machine's address in `network`; engines there take it without TLS. Use it as a context manager.

    Its log, with a line for each request, is the file `log_path`.
    """

    def __init__(self, root: Path, network: EngineNetwork) -> None:
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
        environment = {name: "" for name in os.environ if name.startswith("REGISTRY_")}
        self._process = ChildProcess([program, "serve", config], self.log_path, environment)
        try:
            wait_until(self._answers, message=f"the registry answers; its log is {self.log_path}")
        except BaseException:
            self.close()
            raise

    def repositories(self) -> list[str]:
        """What has been pushed."""
        answer = requests.get(f"http://{self.address}/v2/_catalog", timeout=10)
        return list(answer.json()["repositories"])

    def close(self) -> None:
        self._process.kill()

    def _answers(self) -> bool:
        if self._process.exit_code is not None:
            raise RuntimeError(f"the registry ended with {self._process.exit_code}:\n{self._process.log()}")
        return requests.get(f"http://{self.address}/v2/", timeout=5).ok

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
