"""The Swarm provider on a real engine. One image holds every function; the command tells which it is."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path

import docker
from docker.models.containers import Container

from swarmfn.provider.swarm import SwarmProvider, Timing
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.swarm_labels import FUNCTION_LABEL
from tests.contract.provider.engines import SHOW_VARIABLES
from tests.support import images
from tests.support.docker_engine import DockerEngine
from tests.support.network_namespace import NetworkNamespace
from tests.support.swarm_services import remove_networks
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "contract/functions:1"
NETWORK = "contract_functions"
START_TIMEOUT = 3.0
TIMING = Timing(poll_timeout=3.0, call_timeout=6.0, restart_delay=0.2)

_DOCKERFILE = """\
ARG BASE
FROM $BASE
COPY . /opt/watchdog
ENV PATH=/opt/watchdog/bin:/usr/local/bin:/usr/bin:/bin healthcheck_interval=500ms
HEALTHCHECK --interval=400ms --timeout=60s --retries=3 CMD ["/opt/watchdog/fwatchdog/healthy.sh"]
CMD ["start"]
"""
_START = """\
#!/usr/bin/python3
import os, sys
if os.environ.get("fprocess", "").startswith("crash"):
    sys.exit("crashed on purpose")
os.execv("/opt/watchdog/fwatchdog/run.py", ["fwatchdog"])
"""
_PROGRAMS = {
    "start": _START,
    "answer": '#!/bin/sh\necho "$1"\n',
    "nap": "#!/bin/sh\nsleep $(cat); echo awake\n",
    # Docker's host names are containers' ids.
    "identify": "#!/bin/sh\ncat /etc/hostname\n",
}


class Swarm:
    """What the tests share on one engine: the image, the network, and a container to look from."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine
        self.client = engine.client()
        self.base = images.base_image(engine)
        self._build()
        self._network()
        self._gate: NetworkNamespace | None = None
        self._gates: list[Container] = []

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """A connection as the gateway makes it, from inside the functions' network."""
        return self._namespace().connect(address, port, timeout)

    def close(self) -> None:
        self.leave()
        self.client.close()

    def clear(self) -> None:
        """Leaves nothing on the engine but the image, for the next ones."""
        for gate in self._gates:
            gate.remove(force=True)
        remove_networks(self.client, NETWORK)

    def leave(self) -> None:
        """Forgets the container that is looked from, as when the engine was restarted."""
        if self._gate is not None:
            self._gate.close()
            self._gate = None

    def remove_functions(self) -> None:
        for service in self.client.services.list(filters={"label": FUNCTION_LABEL}):
            service.remove()
        # They would drain for seconds, beside the next test.
        for container in self.client.containers.list(filters={"label": FUNCTION_LABEL}, ignore_removed=True):
            _kill(container)

    def _namespace(self) -> NetworkNamespace:
        if self._gate is None:
            gate = self.client.containers.run(
                IMAGE, ["sleep", "infinity"], network=NETWORK, detach=True, healthcheck={"test": ["NONE"]}
            )
            self._gates.append(gate)
            gate.reload()
            # The number is that of the engine's machine, which has processes of its own.
            processes = Path(f"/proc/{self.engine.machine.pid}/root/proc")
            self._gate = NetworkNamespace(processes / str(gate.attrs["State"]["Pid"]) / "ns/net")
        return self._gate

    def _network(self) -> None:
        if not self.client.networks.list(names=[NETWORK]):
            pool = docker.types.IPAMPool(subnet="10.90.0.0/20")
            self.client.networks.create(
                NETWORK,
                driver="overlay",
                attachable=True,
                labels={"openfaas": "true"},
                ipam=docker.types.IPAMConfig(pool_configs=[pool]),
            )

    def _build(self) -> None:
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for folder in ("fwatchdog", "swarmfn/wire"):
                archive.add(ROOT / folder, folder, filter=_without_caches)
            archive.add(ROOT / "swarmfn/__init__.py", "swarmfn/__init__.py")
            for name, program in _PROGRAMS.items():
                add_file(archive, f"bin/{name}", program)
            add_file(archive, "Dockerfile", _DOCKERFILE)
        context.seek(0)
        self.client.images.build(
            fileobj=context, custom_context=True, tag=IMAGE, buildargs={"BASE": self.base}, rm=True, timeout=120
        )


class SwarmEngine:
    """Functions on `swarm`, none at first."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.provider = self.open()

    def open(self, network: str = "") -> SwarmProvider:
        url, connect = self.swarm.engine.url, self.swarm.connect
        return SwarmProvider(url, 60.0, "gateway:8080", TIMING, network, connect, start_timeout=START_TIMEOUT)

    def reopen(self) -> SwarmProvider:
        self.provider.close()
        self.provider = self.open()
        return self.provider

    def destroy(self) -> None:
        self.provider.close()
        self.swarm.remove_functions()

    def connect(self, address: str, timeout: float) -> socket.socket:
        host, _, port = address.rpartition(":")
        return self.swarm.connect(host, int(port), timeout)

    def echo(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process="cat")

    def answering(self, name: str, text: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process=f"answer {text}")

    def sleeping(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process="nap")

    def identifying(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process="identify")

    def showing_variables(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process=SHOW_VARIABLES)

    def crashing(self, name: str) -> FunctionSpec:
        return FunctionSpec(name, IMAGE, env_process="crash")

    def kill_replica(self, name: str) -> None:
        _kill(self.container(name))

    def service(self, name: str) -> docker.models.services.Service:
        return self.swarm.client.services.get(name)

    def container(self, name: str) -> docker.models.containers.Container:
        """Of one replica that runs."""
        label = f"{FUNCTION_LABEL}={name}"
        return wait_until(lambda: self.swarm.client.containers.list(filters={"label": label}, ignore_removed=True))[0]


def add_file(archive: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o755
    archive.addfile(entry, io.BytesIO(text.encode()))


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


def _kill(container: docker.models.containers.Container) -> None:
    try:
        container.kill()
    except docker.errors.APIError as exc:
        # It has just ended, or is about to: all that was wanted.
        if exc.status_code not in (404, 409):
            raise
