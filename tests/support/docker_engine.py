"""Real Docker engines, each on a machine of its own as far as it can tell (`machine`)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import docker

from tests.support.engine_network import EngineNetwork, Plug, outer_mtu
from tests.support.machine import Machine, namespaces_refused, remove_cgroups
from tests.support.processes import ChildProcess
from tests.support.requirements import missing
from tests.support.waiting import wait_until

_PROGRAMS = ("dockerd", "iptables", "ip", "nsenter", "unshare")
_INSTALL = "apt-get update && apt-get install -y --no-install-recommends docker.io iptables iproute2 debootstrap"


def need_engine() -> None:
    """Ends the test where no engine can be started."""
    if os.geteuid() != 0:
        missing("swarm", "a Docker engine of the tests' own needs root: sudo ./test")
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        missing("swarm", f"no {', '.join(absent)} on PATH. As root on Debian: {_INSTALL}")
    if said := namespaces_refused():
        missing("swarm", f"this machine refuses namespaces ({said}). In a container: start it with --privileged")


class DockerEngine:
    """A Docker engine with its data in `root`, a folder on a real disk. Use it as a context manager.

    On the network given, or on one of its own. Containers get out; from this machine its `address` is reachable, with
    what is published there in host mode. Its tasks take the images that are there at once; only with `pulls` do they
    ask a registry, for those that are not. `fill` may put something into its data folder before it first starts.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        network: EngineNetwork | None = None,
        pulls: bool = False,
        fill: Callable[[Path], None] | None = None,
    ) -> None:
        need_engine()
        self.name = name
        self.root = root
        self.log_path = root / "dockerd.log"
        self._variables = {} if pulls else {"DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}
        self._own_network = None if network else EngineNetwork()
        self._network = network or self._own_network
        self._cgroup = f"{self._network.bridge}-{name}" if self._network else name
        self._machine: Machine | None = None
        self._plug: Plug | None = None
        self._process: ChildProcess | None = None
        root.mkdir(parents=True, exist_ok=True)
        if fill is not None:
            fill(root / "data")
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.root}/docker.sock"

    @property
    def address(self) -> str:
        """Its machine's address, the same for its whole life."""
        assert self._plug is not None
        return self._plug.address

    @property
    def network(self) -> EngineNetwork:
        assert self._network is not None, "the engine is closed"
        return self._network

    @property
    def machine(self) -> Machine:
        assert self._machine is not None, "the machine is lost; start() brings it back"
        return self._machine

    def client(self, timeout: float = 60.0) -> docker.DockerClient:
        """A client of the caller's own, who closes it (`with contextlib.closing(engine.client()) as client`)."""
        return docker.DockerClient(base_url=self.url, timeout=timeout, version="1.41")

    def enter(self, *command: str | Path) -> list[str]:
        """`command`, to be run on its machine: what it then connects to is what the engine's machine reaches."""
        return self.machine.enter(*command)

    def init_swarm(self) -> None:
        """Makes it the manager of a swarm of one node."""
        with contextlib.closing(self.client()) as client:
            client.swarm.init(advertise_addr=self.address, listen_addr=self.address)

    def start(self) -> None:
        """Starts it on the data it has and waits until it answers. Earlier containers are treated as Docker does."""
        if self._machine is None:
            self._boot()
        for left_over in ("dockerd.pid", "docker.sock"):
            (self.root / left_over).unlink(missing_ok=True)
        self._process = ChildProcess(self._command(), self.log_path, self._variables)
        wait_until(self._answers, 60, f"dockerd answers; its log is {self.log_path}", every=0.1)

    def stop(self) -> None:
        """A clean end of dockerd, which ends its containers first."""
        self._signal(signal.SIGTERM)
        self._ended(60)

    def kill(self) -> None:
        """SIGKILL for dockerd alone; containers go on without it."""
        self._signal(signal.SIGKILL)
        self._ended(10)
        # The kernel kills its containerd with it, a moment later; an engine started meanwhile would wait for that one.
        gone = self.enter("sh", "-c", "! kill -0 $(cat /run/docker/containerd/containerd.pid)")
        wait_until(lambda: subprocess.run(gone, capture_output=True).returncode == 0, message="containerd has ended")

    def restart(self) -> None:
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Connections stay open and nothing answers any more (SIGSTOP); `resume()` ends that."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._signal(signal.SIGCONT)
        # nsenter, its parent, has stopped together with it, and would not notice its end.
        os.kill(self._process.pid, signal.SIGCONT)

    def lose(self) -> None:
        """The machine is gone in an instant, with the engine and all containers, as on a power cut.

        `start()` brings it back with the disk it had.
        """
        if self._machine is not None:
            self._machine.end()
        if self._process is not None:
            self._process.kill()
        self._machine = self._process = None

    def cut_off(self) -> None:
        """Everything on its machine goes on, but nothing gets in or out."""
        assert self._plug is not None
        self._plug.cut()

    def reconnect(self) -> None:
        assert self._plug is not None
        self._plug.restore()

    def close(self) -> None:
        """Ends everything and removes the engine's data."""
        self.lose()
        remove_cgroups(self._cgroup)
        shutil.rmtree(self.root / "data", ignore_errors=True)
        if self._own_network:
            self._own_network.close()

    def _boot(self) -> None:
        assert self._network is not None
        self._machine = Machine(self.name)
        self._plug = self._network.plug_in(self._machine.pid, self._plug.address if self._plug else None)

    def _command(self) -> list[str]:
        assert self._network is not None
        options = ["--data-root", str(self.root / "data"), "--pidfile", str(self.root / "dockerd.pid"), "-H", self.url]
        options += ["--cgroup-parent", self._cgroup, "--mtu", str(outer_mtu())]
        options += ["--insecure-registry", self._network.subnet]
        return self.machine.enter("dockerd", *options)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.exit_code is not None:
            raise RuntimeError(f"dockerd ended with {self._process.exit_code}:\n{self._process.log()[-4000:]}")
        # docker-py leaves its socket open when it cannot connect.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(f"{self.root}/docker.sock")
        try:
            with contextlib.closing(self.client(5)) as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False

    def _signal(self, number: signal.Signals) -> None:
        # The file has the number that dockerd has inside.
        inside = (self.root / "dockerd.pid").read_text().strip()
        self.machine.run("kill", f"-{number.value}", inside)

    def _ended(self, timeout: float) -> None:
        assert self._process is not None
        self._process.wait(timeout)
        self._process = None

    def __enter__(self) -> DockerEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
