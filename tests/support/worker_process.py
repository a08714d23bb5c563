"""A real `python -m worker` with its supervisor, and the replica table that a gateway would publish."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis

from swarmfn.wire.policies import Policy
from swarmfn.wire.replicas import REPLICAS_KEY, Route, encode_table
from tests.support.processes import ChildProcess, is_running
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


class WorkerProcess(ChildProcess):
    """Started by the constructor with `settings` as its environment; its log lies in `directory`."""

    def __init__(self, server: RedisServer, directory: Path, **settings: str) -> None:
        super().__init__(
            [sys.executable, "-m", "worker"], directory / "worker.log", environment(server, directory, **settings)
        )

    def children(self) -> list[int]:
        """The worker processes that run now under the supervisor."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def child(self) -> int:
        """The one worker process, as soon as there is one."""
        (pid,) = wait_until(self.children, message="a worker process")
        return pid

    def kill_child(self) -> None:
        """SIGKILL to the one worker process; returns when it has ended."""
        pid = self.child()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), message="the worker process has ended")

    def wait_until_ready(self, times: int = 1) -> None:
        """Returns when worker processes have said that many times that they are ready."""
        wait_until(
            lambda: self.exit_code is not None or self.log().count("worker ready") >= times,
            timeout=60,
            message="the worker is ready",
        )
        assert self.exit_code is None, self.log()

    def terminate(self, timeout: float = 60.0) -> int:
        self.send(signal.SIGTERM)
        return self.wait(timeout)


def environment(server: RedisServer, directory: Path, **settings: str) -> dict[str, str]:
    """What a worker is started with; the password lies in a secret file."""
    secrets = directory / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "redis-password").write_text(f"{server.password}\n")
    return {"faas_redis_address": server.address, "secret_mount_path": str(secrets), **settings}


def publish(
    client: redis.Redis,
    functions: Mapping[str, str | Sequence[str]],
    exec_timeout: float = 5.0,
    concurrency: int = 0,
    queue: str = "",
    lost: Sequence[str] = (),
) -> None:
    """Tells workers where functions are: an address each, or several. `concurrency` limits each one's calls; `queue`
    is one that they share; `lost` addresses are on a node that is down."""
    table = {}
    for name, places in functions.items():
        addresses = (places,) if isinstance(places, str) else tuple(places)
        policy = Policy(concurrency=concurrency)
        table[name] = Route(
            name, addresses, len(addresses), exec_timeout, queue or name, policy=policy, lost=tuple(lost)
        )
    document = encode_table(table)
    client.set(REPLICAS_KEY, document)
    client.publish(REPLICAS_KEY, document)
