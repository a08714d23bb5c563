"""Finding an engine, and saying why there is none."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from docker import errors as docker_errors

from stack.errors import NoEngine, StackError
from stack.swarm.engine_client import NotAManager, NotInSwarm, connect, engine_errors, read_state, require_manager

MANAGER = {
    "Name": "one",
    "Swarm": {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n1", "NodeAddr": "10.0.0.1"},
}
WORKER = {
    "Name": "two",
    "Swarm": {
        "LocalNodeState": "active",
        "ControlAvailable": False,
        "NodeID": "n2",
        "NodeAddr": "10.0.0.2",
        "RemoteManagers": [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}],
    },
}


class Engine:
    """As much of a client as asking for the state takes."""

    def __init__(self, info: Mapping[str, object]) -> None:
        self._info = info

    def info(self) -> Mapping[str, object]:
        return self._info


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[Path]:
    """A socket that takes connections and never answers, as that of an engine that hangs."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to use every file."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_socket_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(NoEngine) as caught:
        connect({"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"})
    assert str(caught.value).startswith(
        f"no Docker Engine answers at unix://{tmp_path}/nothing.sock. Is Docker running?"
    )
    assert caught.value.exit_code == 3


def test_a_port_nobody_listens_on_is_no_engine() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(NoEngine, match=f"no Docker Engine answers at {host}"):
            connect({"DOCKER_HOST": host})


def test_an_engine_that_hangs_is_said_to_hang(socket_path: Path) -> None:
    with pytest.raises(NoEngine, match="does not answer within 1 s"):
        connect({"DOCKER_HOST": f"unix://{socket_path}"}, timeout=1)


def test_a_socket_of_others_is_a_question_of_permission(socket_path: Path) -> None:
    socket_path.chmod(0)
    with as_nobody(), pytest.raises(NoEngine, match="as a member of the group `docker`"):
        connect({"DOCKER_HOST": f"unix://{socket_path}"})


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(NoEngine, match="the Docker Engine at soap://box cannot be used"):
        connect({"DOCKER_HOST": "soap://box"})


def test_a_manager_is_ready() -> None:
    state = require_manager(Engine(MANAGER))
    assert (state.is_ready, state.node_id, state.node_name, state.address) == (True, "n1", "one", "10.0.0.1")


def test_an_engine_in_no_swarm_is_told_how() -> None:
    with pytest.raises(NotInSwarm, match="up --init-swarm") as caught:
        require_manager(Engine({"Name": "one", "Swarm": {"LocalNodeState": "inactive"}}))
    assert caught.value.exit_code == 3


def test_a_worker_names_the_managers() -> None:
    with pytest.raises(NotAManager, match=r"managers: 10\.0\.0\.1:2377"):
        require_manager(Engine(WORKER))


@pytest.mark.parametrize(
    ("swarm", "said"),
    [
        ({"LocalNodeState": "locked"}, "docker swarm unlock"),
        ({"LocalNodeState": "error", "Error": "certificate expired"}, "state error): certificate expired"),
        ({"LocalNodeState": "pending"}, "state pending"),
        ({"LocalNodeState": "active", "Error": "The swarm does not have a leader."}, "does not have a leader"),
    ],
)
def test_a_swarm_in_trouble_is_said(swarm: dict[str, object], said: str) -> None:
    with pytest.raises(NotAManager) as caught:
        require_manager(Engine({"Name": "one", "Swarm": swarm}))
    assert said in str(caught.value)


def test_an_answer_without_a_swarm_is_inactive() -> None:
    assert read_state({"Name": "one", "Swarm": None}).state == "inactive"


def test_what_the_engine_refuses_is_a_stack_error_in_its_words() -> None:
    with (
        pytest.raises(StackError, match=r"^cannot make the network x: it exists$"),
        engine_errors("make the network x"),
    ):
        raise docker_errors.APIError("409 Client Error", explanation="it exists")


def test_an_engine_that_goes_away_is_a_stack_error() -> None:
    with pytest.raises(StackError, match="cannot look: the Docker Engine is gone"), engine_errors("look"):
        raise docker_errors.DockerException("Error while fetching", ConnectionResetError(104, "reset"))
