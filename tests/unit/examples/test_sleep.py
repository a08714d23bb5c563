"""The sleep example: its script as the watchdog would run it, and its Dockerfile."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from swarmfn.wire.durations import parse_duration
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def environment(examples: Path) -> dict[str, str]:
    """The ENV lines of the Dockerfile."""
    lines = re.findall(r"^ENV (\w+)=(.*)$", (examples / "sleep" / "Dockerfile").read_text(), re.MULTILINE)
    return {name: " ".join(shlex.split(value)) for name, value in lines}


def run(examples: Path, environment: dict[str, str], body: bytes) -> subprocess.CompletedProcess[bytes]:
    command = environment["fprocess"].split(" ")
    return subprocess.run(command, input=body, capture_output=True, cwd=examples / "sleep")


@pytest.mark.parametrize("body", [b"0.2", b"0.2\n", b"0.2\r\n", b".2"])
def test_it_sleeps_as_long_as_the_body_says_and_tells(examples: Path, environment: dict[str, str], body: bytes) -> None:
    begun = time.monotonic()
    result = run(examples, environment, body)
    assert time.monotonic() - begun >= 0.2
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == b"slept %s seconds\n" % body.strip()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"abc",
        b"1 2",
        b"1\n2",
        b".",
        b"1.2.3",
        b"-1",
        b"1s",
        b"1\x002",
        b"$(id)",
        b"99999999999",
        b"9" * 100_000,
    ],
)
def test_what_is_no_number_of_seconds_fails_with_a_sentence(
    examples: Path, environment: dict[str, str], body: bytes
) -> None:
    result = run(examples, environment, body)
    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr.startswith(b"sleep: expected the seconds as the body, such as 2 or 0.5, got ")


def test_ending_its_process_group_leaves_nothing_asleep(examples: Path, environment: dict[str, str]) -> None:
    command = environment["fprocess"].split(" ")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=examples / "sleep", start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"300")
            process.stdin.close()
            wait_until(lambda: b"sleep\x00300" in commands_of_group(process.pid), message="the sleep to begin")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        # The pipe ends when the last process that holds it is gone.
        assert process.stdout.read() == b""
    assert process.returncode == -signal.SIGKILL


def commands_of_group(group: int) -> bytes:
    """The command lines of the processes in `group`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                found.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


def test_its_timeouts_allow_a_long_run_and_its_answer(environment: dict[str, str]) -> None:
    timeouts = {name: parse_duration(environment[name]) for name in ("read_timeout", "write_timeout", "exec_timeout")}
    assert timeouts["exec_timeout"] == 300
    assert timeouts["write_timeout"] >= timeouts["exec_timeout"]
    assert timeouts["read_timeout"] >= timeouts["exec_timeout"]
