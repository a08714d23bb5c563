"""The health check of the watchdog's image, which looks at the lock file."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

CHECK = REPOSITORY / "fwatchdog" / "healthy.sh"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def look(lock: Path, before_look: int = 0, then: str = "") -> tuple[int, list[str]]:
    """The check's exit code and its pauses. It does not pause, but does `then` in place of a pause of that number."""
    folder = lock.parent / "bin"
    folder.mkdir(exist_ok=True)
    pauses = folder / "pauses"
    pauses.write_text("")
    program = folder / "sleep"
    program.write_text(f'#!/bin/sh\necho "$1" >> {pauses}\n[ $(wc -l < {pauses}) != {before_look} ] || {then or ":"}\n')
    program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run([CHECK, lock], env={"PATH": path}, capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
    return done.returncode, pauses.read_text().split()


def made_a_while_ago(lock: Path) -> None:
    lock.touch()
    os.utime(lock, (time.time() - 10, time.time() - 10))


def test_a_new_lock_is_reported_at_once(lock: Path) -> None:
    lock.touch()
    assert look(lock) == (0, [])


def test_a_lock_is_awaited_for_a_second(lock: Path) -> None:
    assert look(lock) == (1, ["0.2"] * 5)
    assert look(lock, 2, f"touch {lock}") == (0, ["0.2"] * 2)


def test_a_lock_that_was_there_before_is_watched_for_half_a_minute(lock: Path) -> None:
    made_a_while_ago(lock)
    assert look(lock) == (0, ["2"] * 15)


def test_a_lock_that_goes_is_reported_at_once(lock: Path) -> None:
    made_a_while_ago(lock)
    assert look(lock, 3, f"rm {lock}") == (1, ["2"] * 3)
