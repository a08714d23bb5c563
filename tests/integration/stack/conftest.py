"""A supervisor of the test's own, and small real services for it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.embedded.client import SupervisorClient
from stack.embedded.records import Records
from stack.embedded.spec import ServiceSpec
from stack.state import StateDirectory
from swarmfn.process_identity import identify
from tests.support.processes import REPOSITORY, is_running
from tests.support.waiting import wait_until

MakeSpec = Callable[..., ServiceSpec]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    """A state directory; what still runs in it at the end of the test is killed."""
    state = StateDirectory(tmp_path / "state")
    state.make()
    yield state
    kill_all(state)


def kill_all(state: StateDirectory) -> None:
    """SIGKILL to the supervisor and every recorded process of the state directory."""
    if not state.exists():
        return
    pid = SupervisorClient(state, REPOSITORY).pid()
    supervisor = identify(pid) if pid is not None else None
    if supervisor is not None:
        supervisor.signal(signal.SIGKILL)
        wait_until(lambda: not is_running(supervisor.pid), message="the supervisor is gone")
    services = [process for _, process in Records(state.run / "services").running()]
    for process in services:
        process.signal_group(signal.SIGKILL)
    wait_until(lambda: not any(process.is_alive() for process in services), message="the services are gone")


@pytest.fixture
def supervisor(state: StateDirectory) -> SupervisorClient:
    """A running supervisor."""
    client = SupervisorClient(state, REPOSITORY)
    client.ensure()
    return client


@pytest.fixture
def make_spec(state: StateDirectory) -> MakeSpec:
    """Makes the spec of a service that runs a piece of Python code."""

    def make(name: str, code: str, *arguments: str, version: str = "", stop_timeout: float = 5.0) -> ServiceSpec:
        return ServiceSpec(
            name=name,
            command=(sys.executable, "-c", code, *arguments),
            directory=str(state.root),
            log=str(state.log(name)),
            stop_timeout=stop_timeout,
            version=version,
        )

    return make
