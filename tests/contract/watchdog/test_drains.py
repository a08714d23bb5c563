"""How many calls a watchdog takes, and how it stops, in every mode."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import Serve, Watchdog, post, processes_in, receive_all

Start = Callable[..., Watchdog]


def test_calls_over_max_inflight_are_turned_away(serve: Serve) -> None:
    watchdog = serve("sleepy", max_inflight="1")
    with watchdog.connect() as raw:
        raw.sendall(post(b"60"))
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429, message="not ready while full")
        answer = watchdog.request(b"0")
        assert watchdog.request(None, "/_/health", "GET").status == 200
    assert answer.status == 429
    assert answer.body == b"Concurrent request limit exceeded. Max concurrent requests: 1"
    assert (answer.header("Content-Type") or "").startswith("text/plain")
    assert answer.header("X-OpenFaaS-Internal")
    wait_until(lambda: watchdog.request(b"0").status == 200, message="the caller that went made room")


def test_drain_lets_calls_end_and_exits_clean(serve: Serve) -> None:
    watchdog = serve("sleepy", max_inflight="1")
    with watchdog.connect() as raw:
        raw.sendall(post(b"1"))
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429, message="the call is under way")
        watchdog.process.send(signal.SIGTERM)
        answer = receive_all(raw)
    assert b"slept 1\n" in answer
    assert answer.count(b"HTTP/1.1 200") == 1
    assert watchdog.process.wait() == 0


def test_drain_takes_no_new_connection_while_the_last_calls_end(serve: Serve) -> None:
    watchdog = serve("sleepy", max_inflight="1")
    with watchdog.connect() as raw:
        raw.sendall(post(b"1"))
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429, message="the call is under way")
        watchdog.process.send(signal.SIGTERM)
        wait_until(lambda: refuses(watchdog), message="new connections are refused")
        assert b"slept 1\n" in receive_all(raw)
    assert watchdog.process.wait() == 0


def refuses(watchdog: Watchdog) -> bool:
    try:
        watchdog.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_drain_is_unhealthy_but_still_serves_until_the_interval_is_over(serve: Serve) -> None:
    watchdog = serve("echo", healthcheck_interval="60s")
    watchdog.process.send(signal.SIGTERM)
    wait_until(lambda: watchdog.request(None, "/_/health", "GET").status == 503, message="unhealthy")
    assert watchdog.request(None, "/_/ready", "GET").status == 503
    assert watchdog.request(b"late").body == b"late"
    assert watchdog.process.exit_code is None
    watchdog.process.send(signal.SIGTERM)
    assert watchdog.process.wait() == 0


def test_drain_gives_up_on_a_call_after_write_timeout(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("family", write_timeout="500ms", healthcheck_interval="0")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        watchdog.process.send(signal.SIGTERM)
        assert watchdog.process.wait() == 0
        assert receive_all(raw) == b""
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_a_run_that_begins_in_a_drain_as_long_as_itself_says_that_its_time_is_up(start: Start) -> None:
    watchdog = start(fprocess="sleep 60", exec_timeout="600ms", write_timeout="600ms")
    with watchdog.connect() as raw:
        wait_until(watchdog.is_ready)  # by then it has seen our connection, too
        watchdog.process.send(signal.SIGTERM)
        wait_until(lambda: refuses(watchdog), message="it drains")
        raw.sendall(post(b""))
        answer = receive_all(raw)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Killed process." in answer
    assert watchdog.process.wait() == 0
