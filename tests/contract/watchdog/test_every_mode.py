"""What a caller may rely on, whatever runs the function."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.processes import free_port, is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import Watchdog, WatchdogAt, processes_in, receive_all

TIMEOUT_STATUS = {
    "fork": 408,
    "serializing": 500,
    "streaming": 408,
    "http": 504,
    "python": 408,
    "wsgi": 408,
    "asgi": 408,
}
"""What OpenFaaS's watchdogs answer in each mode; a streaming run that wrote nothing yet has no other status."""


class Serve(Protocol):
    """See `serve` in conftest.py."""

    mode: str

    def __call__(self, name: str, **settings: object) -> Watchdog: ...

    def shared(self, name: str, **settings: object) -> Watchdog: ...


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: f", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_answer_has_its_duration(serve: Serve) -> None:
    answer = serve.shared("echo").request(b"hello", headers={"Content-Type": "text/css"})
    if serve.mode == "streaming":
        # It is not known when the head goes out.
        assert answer.header("X-Duration-Seconds") is None
    else:
        assert float(answer.header("X-Duration-Seconds") or "") > 0
    mirrors = serve.mode not in ("serializing", "streaming")
    assert answer.header("Content-Type") == ("text/css" if mirrors else "application/octet-stream")


def test_forced_content_type_wins(serve: Serve) -> None:
    answer = serve("echo", content_type="image/png").request(b"x", headers={"Content-Type": "text/css"})
    assert [value for name, value in answer.headers if name == "Content-Type"] == ["image/png"]


def test_http_1_0_connection_stays_when_asked_to(serve: Serve) -> None:
    first = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"
    last = b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nb"
    answer = serve.shared("echo").exchange(first + last)
    if serve.mode == "streaming":
        # The end of the connection is the end of the body.
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        return
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"Connection: keep-alive") == 1
    assert answer.endswith(b"b")


def test_exec_timeout_kills_the_whole_process_group(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("family", exec_timeout="1500ms")
    pids = tmp_path / "pids"
    answer = watchdog.request(str(pids).encode())
    assert (answer.status, answer.body) == (TIMEOUT_STATUS[serve_runs.mode], b"Killed process.\n")
    family = processes_in(pids)
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")
    assert float(answer.header("X-Duration-Seconds") or "") >= 1.5


def test_exec_timeout_ends_a_busy_loop_that_ignores_signals(serve_runs: Serve) -> None:
    watchdog = serve_runs.shared("troubled", exec_timeout="1s", workers="2")
    assert watchdog.request(b"spin\n").status == TIMEOUT_STATUS[serve_runs.mode]
    assert watchdog.request(b"echo\nnext").body == b"next"


def test_exec_timeout_reaches_processes_in_sessions_of_their_own(serve_runs: Serve, tmp_path: Path) -> None:
    watchdog = serve_runs("troubled", exec_timeout="2s")
    pids = tmp_path / "pids"
    assert watchdog.request(f"family {pids}\n".encode()).status == TIMEOUT_STATUS[serve_runs.mode]
    family = processes_in(pids)
    assert len(family) == 2
    wait_until(lambda: not any(map(is_running, family)), message="parent and child are dead")


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("serve", ["python", "wsgi", "asgi"], indirect=True)
def test_forked_copy_of_a_run_neither_answers_nor_takes_calls(serve: Serve, threads: str) -> None:
    watchdog = serve("troubled", threads=threads)
    bodies = [b"fork\n%d" % number for number in range(8)]
    assert [watchdog.request(body).body for body in bodies] == [b"%d" % number for number in range(8)]


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
    watchdog = serve.shared("sleepy", exec_timeout="300ms")
    assert watchdog.request(b"20").status == TIMEOUT_STATUS[serve.mode]
    assert watchdog.request(b"0").body == b"slept 0\n"


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "set fprocess to a command, or handler_path"),
        ({"fprocess": "/no/such/program"}, '"/no/such/program"'),
        ({"fprocess": "cat", "mode": "afterburn"}, "mode: expected one of fork, serializing, streaming, http"),
        ({"mode": "streaming"}, "fprocess: mode=streaming needs the command"),
        ({"mode": "http", "upstream_url": "http://127.0.0.1:1"}, "fprocess: mode=http needs the command"),
        ({"mode": "http", "fprocess": "cat"}, "upstream_url: mode=http needs where the function's server listens"),
        ({"mode": "http", "fprocess": "cat", "upstream_url": "127.0.0.1:1"}, 'such as "http://127.0.0.1:3000"'),
        ({"mode": "static", "static_path": "/no/such"}, 'static_path: there is no folder "/no/such"'),
        ({"fprocess": "cat", "ready_path": "ready"}, "ready_path: expected a path such as /ready"),
        ({"fprocess": "cat", "max_inflight": "many"}, "max_inflight: expected a whole number"),
        ({"mode": "python", "handler_path": "/tmp"}, "no handler.py in /tmp"),
    ],
)
def test_what_cannot_start_says_why_and_exits(
    start: Callable[..., Watchdog], settings: dict[str, str], words: str
) -> None:
    watchdog = start(wait=False, **settings)
    assert watchdog.process.wait() in (1, 2)
    assert words in watchdog.process.log()
    assert "Traceback" not in watchdog.process.log()


def test_duration_that_does_not_parse_falls_back_with_a_warning(serve: Serve) -> None:
    watchdog = serve.shared("echo", exec_timeout="soon")
    assert "exec_timeout: expected seconds or a duration" in watchdog.process.log()
    assert watchdog.request(b"x").status == 200


def test_metrics_count_what_callers_got(serve: Serve) -> None:
    port = free_port()
    watchdog = serve("sleepy", metrics_port=port, exec_timeout="30s", workers="2")

    def metrics() -> list[str]:
        return WatchdogAt("127.0.0.1", port).request(None, "/metrics", "GET").body.decode().splitlines()

    watchdog.request(b"0")
    watchdog.request(b"20", headers={"X-Timeout": "200ms"})
    with watchdog.connect() as raw:
        raw.sendall(post(b"20"))
        wait_until(lambda: "http_requests_in_flight 1" in metrics(), message="one call is in flight")
    wait_until(lambda: "http_requests_in_flight 0" in metrics(), message="none is in flight")
    lines = metrics()
    for code in (200, TIMEOUT_STATUS[serve.mode], 499):
        assert f'http_requests_total{{code="{code}",method="post"}} 1' in lines
        assert f'http_request_duration_seconds_count{{code="{code}",method="post"}} 1' in lines


def test_readiness_can_be_the_functions_own(serve: Serve) -> None:
    """echo says how it saw the request, sleepy fails when it gets no number."""
    assert serve.shared("echo", ready_path="/am/i/ready").request(None, "/_/ready", "GET").status == 200
    answer = serve.shared("sleepy", ready_path="/x", exec_timeout="5s").request(None, "/_/ready", "GET")
    assert answer.status >= 500


def test_log_can_be_json_with_the_calls_id_on_its_lines(serve: Serve) -> None:
    watchdog = serve("sleepy", log_format="json", exec_timeout="30s")
    watchdog.request(b"20", headers={"X-Timeout": "100ms", "X-Call-Id": "c-5"})
    lines = [json.loads(line) for line in watchdog.process.log().splitlines()]
    (killed,) = [line for line in lines if line.get("event") == "exec_timeout"]
    assert killed["call_id"] == "c-5"
    assert {"time", "level", "logger", "message"} <= killed.keys()


def test_calls_id_can_be_left_out_of_the_log(serve: Serve) -> None:
    watchdog = serve("sleepy", log_callid="false", exec_timeout="30s")
    watchdog.request(b"20", headers={"X-Timeout": "100ms", "X-Call-Id": "c-5"})
    assert "event=exec_timeout" in watchdog.process.log()
    assert "c-5" not in watchdog.process.log()
