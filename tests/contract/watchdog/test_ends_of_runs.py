"""How a run ends in every mode: by its time limit, by its caller, with the watchdog."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import TIMEOUT_STATUS, Serve, post, processes_in


def test_exec_timeout_kills_the_whole_process_group(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("family", exec_timeout="1500ms")
    pids = tmp_path / "pids"
    answer = watchdog.request(str(pids).encode())
    assert (answer.status, answer.body) == (TIMEOUT_STATUS[serve_runs.mode], b"Killed process.\n")
    family = processes_in(pids)
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")
    assert float(answer.header("X-Duration-Seconds") or "") >= 1.5


def test_a_time_limit_ends_a_busy_loop_that_ignores_signals(serve_runs: Serve) -> None:
    # The limit is the first call's alone: the next may have to wait for another program to start.
    watchdog = serve_runs.shared("troubled", exec_timeout="1m", workers="2")
    assert watchdog.request(b"spin\n", headers={"X-Timeout": "1s"}).status == TIMEOUT_STATUS[serve_runs.mode]
    assert watchdog.request(b"echo\nnext").body == b"next"


def test_exec_timeout_reaches_processes_in_sessions_of_their_own(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("troubled", exec_timeout="2s")
    pids = tmp_path / "pids"
    assert watchdog.request(f"family {pids}\n".encode()).status == TIMEOUT_STATUS[serve_runs.mode]
    family = processes_in(pids)
    assert len(family) == 2
    wait_until(lambda: not any(map(is_running, family)), message="parent and child are dead")


def test_x_timeout_lowers_exec_timeout(serve: Serve) -> None:
    watchdog = serve.shared("sleepy", exec_timeout="30s", workers="2")
    answer = watchdog.request(b"20", headers={"X-Timeout": "300ms"})
    assert answer.status == TIMEOUT_STATUS[serve.mode]
    assert float(answer.header("X-Duration-Seconds") or "") >= 0.3
    assert watchdog.request(b"0.5", headers={"X-Timeout": "5m"}).body == b"slept 0.5\n"


def test_caller_gone_kills_the_whole_process_group(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs.shared("family", exec_timeout="1m", workers="2")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        assert all(map(is_running, family))
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_caller_that_resets_is_gone_too(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs.shared("family", exec_timeout="1m", workers="2")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_caller_gone_is_noticed_behind_pipelined_requests(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs.shared("family", exec_timeout="1m", workers="2")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        raw.sendall(post(b"x" * 300_000))
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_killed_watchdog_leaves_no_process_behind(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        watchdog.process.send(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_next_call_works_after_a_killed_one(serve: Serve) -> None:
    watchdog = serve.shared("sleepy", exec_timeout="1m")
    assert watchdog.request(b"20", headers={"X-Timeout": "1s"}).status == TIMEOUT_STATUS[serve.mode]
    assert watchdog.request(b"0").body == b"slept 0\n"
