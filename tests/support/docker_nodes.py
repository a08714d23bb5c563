"""A swarm of several nodes on this machine: engines with machines of their own, on one network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests.support import images
from tests.support.docker_engine import DockerEngine, need_engine
from tests.support.engine_network import EngineNetwork
from tests.support.waiting import wait_until

Value = TypeVar("Value")

_SECOND = 1_000_000_000


class DockerNodes:
    """Nodes `node1`, `node2`, … of one swarm, the first of them managers. Use it as a context manager.

    What happens to a node is done to its engine: `lose()`, `kill()`, `cut_off()`, … `heartbeat` is in seconds: after
    about three of them without a sign of life the swarm takes a node for down. `pulls` as with DockerEngine; `first` is
    the `fill` of the first node, the others have the base image.
    """

    def __init__(
        self,
        root: Path,
        count: int = 3,
        managers: int = 1,
        heartbeat: int = 5,
        pulls: bool = False,
        first: Callable[[Path], None] = images.with_base,
    ) -> None:
        need_engine()
        self.network = EngineNetwork()
        self.engines: list[DockerEngine] = []
        try:
            for number in range(1, count + 1):
                fill = images.with_base if self.engines else first
                self.engines.append(DockerEngine(f"node{number}", root / f"node{number}", self.network, pulls, fill))
            self._form(managers, heartbeat)
            self.on_each(images.base_image)
        except BaseException:
            self.close()
            raise

    @property
    def manager(self) -> DockerEngine:
        return self.engines[0]

    def on_each(self, act: Callable[[DockerEngine], Value]) -> list[Value]:
        """`act` for every engine, all at once: `nodes.on_each(images.stack_image)`."""
        with ThreadPoolExecutor(len(self.engines)) as pool:
            return list(pool.map(act, self.engines))

    def states(self) -> dict[str, str]:
        """Each node's state as the manager sees it, such as `ready` or `down`."""
        with contextlib.closing(self.manager.client()) as client:
            nodes = client.nodes.list()
        return {node.attrs["Description"]["Hostname"]: node.attrs["Status"]["State"] for node in nodes}

    def wait_for(self, engine: DockerEngine, state: str, timeout: float = 60.0) -> None:
        """Returns once the manager takes the engine's node to be in this state."""
        wait_until(lambda: self.states()[engine.name] == state, timeout, f"{engine.name} is {state}", every=0.2)

    def close(self) -> None:
        with contextlib.ExitStack() as ending:
            ending.callback(self.network.close)
            for engine in self.engines:
                ending.callback(engine.close)

    def _form(self, managers: int, heartbeat: int) -> None:
        self.manager.init_swarm()
        with contextlib.closing(self.manager.client()) as client:
            client.swarm.reload()
            client.swarm.update(dispatcher_heartbeat_period=heartbeat * _SECOND)
            tokens = client.swarm.attrs["JoinTokens"]
        for position, engine in enumerate(self.engines[1:], start=1):
            with contextlib.closing(engine.client()) as client:
                client.swarm.join(
                    remote_addrs=[f"{self.manager.address}:2377"],
                    join_token=tokens["Manager" if position < managers else "Worker"],
                    advertise_addr=engine.address,
                    listen_addr=engine.address,
                )
        for engine in self.engines:
            self.wait_for(engine, "ready")

    def __iter__(self) -> Iterator[DockerEngine]:
        return iter(self.engines)

    def __enter__(self) -> DockerNodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
