"""The choice of an engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stack.embedded.stack import LocalStack
from stack.engine import Stack
from stack.engines import Engines
from stack.errors import NoEngine, StackError
from stack.state import StateDirectory
from stack.swarm.stack import SwarmStack
from tests.support.processes import REPOSITORY
from tests.support.stub_engine import stub_engine

MANAGER = {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n1"}
WORKER = {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": "10.0.0.9:2377"}]}
OUTSIDE = {"LocalNodeState": "inactive"}


class Chooser:
    """Chooses an engine for a state directory, and keeps the messages."""

    def __init__(self, folder: Path, host: str, runs_locally: bool = False) -> None:
        self.said: list[str] = []
        state = StateDirectory(folder / "state")
        environ = {"DOCKER_HOST": host}
        self._engines = Engines(state, REPOSITORY, environ, lambda: runs_locally, self.said.append)

    def choose(self, asked: str, **options: Any) -> type[Stack]:
        with closing(self._engines.choose(asked, **options)) as stack:
            return type(stack)


def absent(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/none.sock"


def test_without_an_engine_the_stack_is_local_and_that_is_said(tmp_path: Path) -> None:
    chooser = Chooser(tmp_path, absent(tmp_path))
    assert chooser.choose("auto") is LocalStack
    (line,) = chooser.said
    assert line.startswith("engine: local processes")
    assert f"no Docker Engine answers at {absent(tmp_path)}" in line


def test_without_an_engine_a_swarm_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(NoEngine, match="no Docker Engine answers") as caught:
        Chooser(tmp_path, absent(tmp_path)).choose("swarm")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("asked", ["auto", "swarm"])
def test_a_manager_of_a_swarm_is_used(tmp_path: Path, asked: str) -> None:
    with stub_engine(tmp_path / "d.sock", MANAGER) as host:
        chooser = Chooser(tmp_path, host)
        assert chooser.choose(asked) is SwarmStack
        assert chooser.said == [f"engine: Docker Swarm through {host}"]
        assert Chooser(tmp_path, host).choose("local") is LocalStack


@pytest.mark.parametrize("asked", ["auto", "swarm"])
@pytest.mark.parametrize(("swarm", "words"), [(OUTSIDE, "--init-swarm"), (WORKER, "managers: 10.0.0.9:2377")])
def test_an_engine_that_runs_no_services_is_refused_with_what_helps(
    tmp_path: Path, asked: str, swarm: Mapping[str, Any], words: str
) -> None:
    with stub_engine(tmp_path / "d.sock", swarm) as host, pytest.raises(NoEngine, match=words) as caught:
        Chooser(tmp_path, host).choose(asked)
    assert caught.value.exit_code == 3


def test_looking_at_a_local_stack_needs_no_swarm(tmp_path: Path) -> None:
    with stub_engine(tmp_path / "d.sock", OUTSIDE) as host:
        chooser = Chooser(tmp_path, host)
        assert chooser.choose("auto", is_read_only=True) is LocalStack
        assert chooser.said == []


def test_a_stack_that_runs_locally_stays_so_until_it_is_down(tmp_path: Path) -> None:
    with stub_engine(tmp_path / "d.sock", MANAGER) as host:
        chooser = Chooser(tmp_path, host, runs_locally=True)
        assert chooser.choose("auto") is LocalStack
        for options in ({"asked": "swarm"}, {"asked": "auto", "must_init": True}):
            with pytest.raises(StackError, match="down --engine local"):
                chooser.choose(**options)


@pytest.mark.parametrize(("asked", "unneeded"), [("local", ["docker"]), ("swarm", ["redis", "stack.embedded.stack"])])
def test_only_what_the_engine_needs_is_loaded(tmp_path: Path, asked: str, unneeded: list[str]) -> None:
    """A command would take twice as long."""
    program = (
        "import sys, pathlib\n"
        "import stack.cli\n"
        "from stack.engines import Engines\n"
        "from stack.state import StateDirectory\n"
        f"state, host = StateDirectory(pathlib.Path({str(tmp_path)!r})), sys.argv[1]\n"
        "engines = Engines(state, pathlib.Path(), {'DOCKER_HOST': host}, lambda: False, lambda line: None)\n"
        f"engines.choose({asked!r}).close()\n"
        f"print([name for name in {unneeded!r} if name in sys.modules])\n"
    )
    with stub_engine(tmp_path / "engine.sock", MANAGER) as host:
        done = subprocess.run([sys.executable, "-c", program, host], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout == "[]\n", done.stderr
