"""The command line."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from stack.arguments import COMMANDS, parse
from stack.options import (
    DeployOptions,
    DownOptions,
    LogsOptions,
    Options,
    PrepareOptions,
    StatusOptions,
    Target,
    UpOptions,
)
from stack.status import FunctionLine, ServiceLine, StackStatus, render
from tests.support.processes import REPOSITORY

ROOT = Path("/somewhere")


def test_up_is_the_default_command() -> None:
    assert (parse([]).command, parse([]).options) == ("up", UpOptions())
    assert parse(["--port", "9000"]).options == UpOptions(port=9000)


def test_the_state_directory_lies_beside_the_program() -> None:
    assert parse(["status"]).target == Target(REPOSITORY / ".swarmfn")
    given = ["down", "--state-dir", "/state", "--engine", "swarm", "--stack", "mine"]
    assert parse(given).target == Target(Path("/state"), "swarm", "mine")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("up --management-port 9001 --listen 0.0.0.0", UpOptions(management_port=9001, listen_address="0.0.0.0")),
        ("up --management-port 0 --no-examples", UpOptions(management_port=0, has_examples=False)),
        ("up -f /a.yml --file /b.yml", UpOptions(DeployOptions(files=(Path("/a.yml"), Path("/b.yml"))))),
        ("up --image mine:1 --init-swarm", UpOptions(DeployOptions(image="mine:1", must_init=True))),
        ("up --registry here:5000 --no-pin", UpOptions(DeployOptions(registry="here:5000", is_pinned=False))),
        ("prepare", PrepareOptions()),
        ("prepare --pin --with-registry-auth", PrepareOptions(DeployOptions(is_pinned=True), gives_logins=True)),
        ("down", DownOptions()),
        ("down --purge", DownOptions(must_purge=True)),
        ("status --json", StatusOptions(is_json=True)),
        ("logs", LogsOptions(None, 50)),
        ("logs gateway -f -n 5", LogsOptions("gateway", 5, is_following=True)),
    ],
)
def test_a_command_comes_with_what_it_is_asked_to_do(words: str, options: Options) -> None:
    line = parse(words.split())
    assert (line.command, line.options) == (words.split()[0], options)


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "0"],
        ["--port", "x"],
        ["--engine", "kubernetes"],
        ["fly"],
        ["down", "--port", "1"],
        ["logs", "-n", "many"],
        ["logs", "a", "b"],
        ["up", "down"],
        ["--bogus"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_command_behind_its_options_is_told_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--engine", "local", "down", "--purge"])
    assert caught.value.code == 2
    assert "the command comes before its options: python3 deploy_extended.py down" in capsys.readouterr().err


def test_help_teaches_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in ("up ", "down ", "status ", "logs ", "--purge", "130 interrupted", "examples:"):
        assert word in text


def test_status_shows_services_and_functions() -> None:
    status = StackStatus(
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8081",
        "/state",
        12,
        [ServiceLine("redis", "running", 34, 75.2, 1, ""), ServiceLine("gateway", "waiting", None, 3.0, 4, "it ended")],
        [FunctionLine("echo", 1, 2, "")],
        compose_files=["/compose.yml", "/more.yml"],
    )
    text = render(status)
    assert "\nmade from /compose.yml, /more.yml\n" in text
    assert text.startswith("gateway http://127.0.0.1:8080   management http://127.0.0.1:8081   state /state")
    assert "redis     running   34    1m15s    1" in text
    assert "gateway   waiting   -     3s       4          it ended" in text
    assert "echo       1/2" in text
    assert not status.is_healthy


def test_status_says_when_nothing_runs() -> None:
    assert render(StackStatus("u", "u", "/state", None, [], [])) == "nothing is running in /state"


def test_the_reference_describes_every_command_and_option() -> None:
    text = (REPOSITORY / "docs" / "reference" / "cli.md").read_text()
    for command in COMMANDS:
        assert f"## {command}\n" in text
    for option in every_option():
        assert f"`{option}" in text, f"{option} is not in docs/reference/cli.md"


def every_option() -> set[str]:
    """The options in the help of every command."""
    found: set[str] = set()
    for words in (["--help"], *([command, "--help"] for command in COMMANDS)):
        with contextlib.redirect_stdout(io.StringIO()) as output, pytest.raises(SystemExit):
            parse(words)
        lines = [line.strip() for line in output.getvalue().splitlines()]
        found |= {word for line in lines if line.startswith("-") for word in re.findall(r"--?[a-z][-a-z]*", line[:24])}
    return found
