"""What each command prints, and its exit code."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stack import cli
from stack.engine import Outcome
from stack.options import DownOptions, LogsOptions, PrepareOptions, StatusOptions, UpOptions
from stack.state import StateDirectory
from stack.status import ServiceLine, StackStatus

WELL = ServiceLine("gateway", "running", 1, 2.0, 0, "")
STATUS = StackStatus("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/state", 1, [WELL], [])
OUTCOME = Outcome(True, "http://127.0.0.1:8080", "http://127.0.0.1:8081")


class Described:
    """A stack that is as described."""

    def __init__(self, outcome: Outcome = OUTCOME, status: StackStatus = STATUS) -> None:
        self._outcome = outcome
        self._status = status

    def up(self, options: UpOptions) -> Outcome:
        return self._outcome

    def prepare(self, options: PrepareOptions) -> str:
        return "now run docker stack deploy"

    def down(self, purge: bool) -> str:
        return "removed" if purge else "stopped"

    def status(self) -> StackStatus:
        return self._status

    def logs(self, options: LogsOptions, write: Callable[[str], None]) -> None:
        write(f"the last {options.lines} of {options.name}")

    def close(self) -> None:
        pass


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def as_before() -> Iterator[None]:
    """`main` takes over SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_up_says_where_everything_is(state: StateDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.up(Described(), UpOptions(), state) == 0
    said = capsys.readouterr()
    assert "http://127.0.0.1:8080" in said.out
    assert "http://127.0.0.1:8081" in said.out
    assert "nothing to do" not in said.out
    assert said.err == ""


def test_up_that_has_nothing_to_do_says_so(state: StateDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.up(Described(replace(OUTCOME, has_changed=False)), UpOptions(), state) == 0
    assert capsys.readouterr().out.startswith("nothing to do: everything runs as described\n\n")


def test_up_shows_warnings(state: StateDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.up(Described(replace(OUTCOME, warnings=["basic_auth is off"])), UpOptions(), state) == 0
    assert "basic_auth is off" in capsys.readouterr().err


@pytest.mark.parametrize("has_changed", [True, False])
def test_up_fails_when_a_function_does_not_serve(
    state: StateDirectory, capsys: pytest.CaptureFixture[str], has_changed: bool
) -> None:
    outcome = replace(OUTCOME, has_changed=has_changed, problems={"echo": "its image is missing"})
    assert cli.up(Described(outcome), UpOptions(), state) == 1
    said = capsys.readouterr()
    assert "up failed: " in said.err
    assert "echo" in said.err
    assert "its image is missing" in said.err
    assert "nothing to do" not in said.out


def test_the_others_print_what_the_stack_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.prepare(Described(), PrepareOptions()) == 0
    assert cli.down(Described(), DownOptions()) == 0
    assert cli.down(Described(), DownOptions(must_purge=True)) == 0
    assert cli.logs(Described(), LogsOptions("echo", 5)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "now run docker stack deploy",
        "stopped",
        "removed",
        "the last 5 of echo",
    ]


def test_status_is_a_table_or_a_document_and_tells_whether_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status(Described(), StatusOptions()) == 0
    assert "running" in capsys.readouterr().out
    assert cli.status(Described(), StatusOptions(is_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True
    for services in ([replace(WELL, problem="it does not answer")], []):
        sick = Described(status=replace(STATUS, services=services))
        assert cli.status(sick, StatusOptions()) == 1
        capsys.readouterr()
        assert cli.status(sick, StatusOptions(is_json=True)) == 1
        assert json.loads(capsys.readouterr().out)["healthy"] is False


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("status", 1, "nothing is running in "),
        ("down", 0, "nothing to do: there is no stack in "),
        ("down --purge", 0, "nothing to do: there is no stack in "),
        ("logs", 1, "logs failed: there are no logs in "),
    ],
)
def test_commands_where_nothing_was_started_make_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, code: int, said: str
) -> None:
    folder = tmp_path / "state"
    assert cli.main([*command.split(), "--engine", "local", "--state-dir", str(folder)]) == code
    printed = capsys.readouterr()
    assert said in (printed.err if code and command == "logs" else printed.out)
    assert not folder.exists()


@pytest.mark.usefixtures("as_before")
def test_sigterm_is_an_interruption(tmp_path: Path) -> None:
    cli.main(["status", "--engine", "local", "--state-dir", str(tmp_path / "state")])
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
