"""Which process a recorded pid meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from swarmfn.process_identity import ProcessIdentity, command_of, identify, identify_child

_ODD_NAME = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"a) Z \\xff", 0, 0, 0)  # PR_SET_NAME
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def become_zombie(process: subprocess.Popen[bytes]) -> None:
    """Returns when it has ended; it is not reaped."""
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_a_process_is_known_until_it_has_ended() -> None:
    with running("cat") as process:
        found = identify(process.pid)
        assert found is not None
        assert found == identify_child(process.pid) == identify(process.pid)
        assert found.is_alive()
        assert found.began() == pytest.approx(time.time(), abs=60)
        become_zombie(process)
        assert identify(process.pid) is None
        assert not found.is_alive()
        assert identify_child(process.pid) == found  # its parent knows it until it is reaped
    assert identify(process.pid) is None


def test_another_process_with_the_same_pid_is_another_one() -> None:
    with running("cat") as process:
        found = identify_child(process.pid)
        for other in (replace(found, start_time=found.start_time - 1), replace(found, boot_id="an earlier boot")):
            assert not other.is_alive()
            assert other.open_pidfd() is None
            other.signal(signal.SIGKILL)
        assert found.is_alive()


def test_a_name_with_brackets_and_odd_bytes_hides_nothing() -> None:
    with running(sys.executable, "-c", _ODD_NAME) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = identify(process.pid)
        assert found == identify_child(process.pid)
        assert found is not None
        assert found.start_time > 0


def test_a_pidfd_stands_for_it_also_when_it_is_a_zombie() -> None:
    with running("cat") as process:
        found = identify_child(process.pid)
        for _ in range(2):
            descriptor = found.open_pidfd()
            assert descriptor is not None
            os.close(descriptor)
            become_zombie(process)
    assert found.open_pidfd() is None


def test_it_is_signalled_and_so_is_its_group() -> None:
    with running("sh", "-c", "sleep 600 & wait") as process:
        found = identify_child(process.pid)
        found.signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
        found.signal(signal.SIGTERM)  # nobody is meant any more
        found.signal_group(signal.SIGKILL)
        assert process.stdout is not None
        assert process.stdout.read() == b""  # the last of the group has closed it
        found.signal_group(signal.SIGKILL)


def test_the_command_line_of_a_process() -> None:
    with running("cat", "-u", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"begun\n")
        process.stdin.flush()
        process.stdout.readline()
        assert command_of(process.pid) == "cat -u -"
    assert command_of(process.pid) == ""


def test_a_process_that_is_not_there() -> None:
    with running("true") as process:
        process.wait(60)
    assert identify(process.pid) is None
    assert identify_child(process.pid) == ProcessIdentity(process.pid, 0, "")
