"""Which processes make up the embedded stack: the compose file's services with this machine's addresses put in."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.compose.model import Service
from stack.embedded.code import code_fingerprint
from stack.embedded.spec import ServiceSpec
from stack.errors import ComposeFileError
from stack.state import Settings, StateDirectory
from swarmfn.wire.addresses import join_address

GATEWAY_PORT = 8080
"""Inside the stack the gateway is `gateway:8080`, whatever its port on this machine is."""

_EVERYWHERE = {"0.0.0.0", "::", ""}


class EmbeddedServices:
    """Makes the specs. `root` is where the programs' packages lie."""

    def __init__(self, compose: Mapping[str, Service], root: Path, state: StateDirectory, settings: Settings) -> None:
        missing = {"gateway", "worker", "redis"} - set(compose)
        if missing:
            raise ComposeFileError(f"the compose file has no service {', '.join(sorted(missing))}.")
        self._compose = compose
        self._root = root
        self._state = state
        self._settings = settings

    def redis(self, program: Path, config: str) -> ServiceSpec:
        """`config` is all of its configuration that it has to be started again for: not the password."""
        file = program.stat()
        version = hashlib.sha256(f"{config}{file.st_size}{file.st_mtime_ns}".encode()).hexdigest()
        command = (str(program), str(self._state.redis / "redis.conf"))
        return self._spec("redis", "redis", command, {}, version)

    def gateway(self) -> ServiceSpec:
        environment = {
            **self._compose["gateway"].environment,
            **self._python_environment(),
            "port": str(self._settings.port),
            "management_port": str(self._settings.management_port),
            "listen_address": self._settings.listen_address,
            "functions_provider": "local",
            "local_state_dir": str(self._state.root),
        }
        version = code_fingerprint(self._root, "gateway", "swarmfn", "fwatchdog")
        return self._spec("gateway", "gateway", self._python_command("gateway"), environment, version)

    def workers(self) -> list[ServiceSpec]:
        wanted = self._compose["worker"].replicas
        names = ["worker"] if wanted == 1 else [f"worker.{number}" for number in range(1, wanted + 1)]
        environment = {
            **self._compose["worker"].environment,
            **self._python_environment(),
            "metrics_address": self._settings.listen_address,
            "host_aliases": f"gateway:{GATEWAY_PORT}={reachable(self._settings)}",
        }
        version = code_fingerprint(self._root, "worker", "swarmfn")
        command = self._python_command("worker")
        return [self._spec(name, "worker", command, environment, version) for name in names]

    def _spec(
        self, name: str, service: str, command: tuple[str, ...], environment: Mapping[str, str], version: str
    ) -> ServiceSpec:
        return ServiceSpec(
            name=name,
            command=command,
            directory=str(self._state.root),
            log=str(self._state.log(name)),
            environment=environment,
            stop_timeout=self._compose[service].stop_grace_period,
            version=version,
        )

    def _python_command(self, service: str) -> tuple[str, ...]:
        """The compose file's command, with this interpreter for `python` and nothing imported from the directory it
        is started in."""
        program, *arguments = self._compose[service].command
        if program != "python":
            raise ComposeFileError(f"services.{service}.command: expected [python, …], got {program!r}.")
        return (sys.executable, "-P", *arguments)

    def _python_environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(self._root),
            "PYTHONUNBUFFERED": "1",
            "secret_mount_path": str(self._state.in_force),
            "faas_redis_address": f"127.0.0.1:{self._settings.redis_port}",
        }


def reachable(settings: Settings, port: int = 0) -> str:
    """host:port under which this machine reaches the gateway; without a port, that for calls."""
    address = settings.listen_address
    return join_address("127.0.0.1" if address in _EVERYWHERE else address, port or settings.port)
