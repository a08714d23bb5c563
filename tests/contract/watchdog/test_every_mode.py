"""What a caller may rely on, whatever runs the function."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import Watchdog, processes_in, receive_all, receive_until

Serve = Callable[..., Watchdog]


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: f", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_body_comes_back_with_its_duration(serve: Serve) -> None:
    answer = serve("echo").request(b"hello", headers={"Content-Type": "text/css"})
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.header("Content-Type") == "text/css"
    assert float(answer.header("X-Duration-Seconds") or "") > 0


def test_forced_content_type_wins(serve: Serve) -> None:
    answer = serve("echo", content_type="image/png").request(b"x", headers={"Content-Type": "text/css"})
    assert [value for name, value in answer.headers if name == "Content-Type"] == ["image/png"]


def test_large_binary_body_comes_back_unchanged(serve: Serve) -> None:
    body = os.urandom(1 << 20) * 30
    assert serve("echo").request(body).body == body


def test_chunked_body_is_decoded(serve: Serve) -> None:
    watchdog = serve("echo")
    head = b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = watchdog.exchange(head + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nabcde")


def test_head_has_the_length_and_no_body(serve: Serve) -> None:
    watchdog = serve("echo")
    answer = watchdog.exchange(post(b"hello", b"Connection: close").replace(b"POST", b"HEAD"))
    assert b"Content-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    bodies = [b"<%d>" % number for number in range(20)]
    requests = b"".join(post(body) for body in bodies[:-1]) + post(bodies[-1], b"Connection: close")
    answer = serve("echo").exchange(requests)
    assert re.findall(rb"<\d+>", answer) == bodies
    assert answer.count(b"HTTP/1.1 200 OK") == len(bodies)


def test_http_1_0_closes_unless_asked_to_keep_alive(serve: Serve) -> None:
    watchdog = serve("echo")
    first = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"
    last = b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nb"
    answer = watchdog.exchange(first + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"Connection: keep-alive") == 1
    assert answer.endswith(b"b")


def test_body_is_asked_for_when_the_client_expects_that(serve: Serve) -> None:
    with serve("echo").connect() as raw:
        raw.sendall(post(b"", b"Expect: 100-continue", b"Connection: close").replace(b"Length: 0", b"Length: 5"))
        assert receive_until(raw, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"hello")
        assert receive_all(raw).endswith(b"\r\n\r\nhello")


def test_exec_timeout_kills_the_whole_process_group(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family", exec_timeout="1500ms")
    pids = tmp_path / "pids"
    answer = watchdog.request(str(pids).encode())
    assert (answer.status, answer.body) == (408, b"Killed process.\n")
    family = processes_in(pids)
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")
    assert float(answer.header("X-Duration-Seconds") or "") >= 1.5


def test_x_timeout_lowers_exec_timeout(serve: Serve) -> None:
    watchdog = serve("sleepy", exec_timeout="30s")
    assert watchdog.request(b"20", headers={"X-Timeout": "300ms"}).status == 408
    assert watchdog.request(b"0.5", headers={"X-Timeout": "5m"}).body == b"slept 0.5\n"


def test_caller_gone_kills_the_whole_process_group(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        assert all(map(is_running, family))
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_caller_that_resets_is_gone_too(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_caller_gone_is_noticed_behind_pipelined_requests(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        raw.sendall(post(b"x" * 300_000))
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_killed_watchdog_leaves_no_process_behind(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        watchdog.process.send(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_next_call_works_after_a_killed_one(serve: Serve) -> None:
    watchdog = serve("sleepy", exec_timeout="300ms")
    assert watchdog.request(b"20").status == 408
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


def test_health_says_ok(serve: Serve) -> None:
    answer = serve("echo").request(None, "/_/health", "GET")
    assert (answer.status, answer.body) == (200, b"OK")


def test_drain_lets_calls_end_and_exits_clean(serve: Serve) -> None:
    watchdog = serve("sleepy")
    with watchdog.connect() as raw:
        raw.sendall(post(b"1"))
        wait_until(lambda: _in_flight(watchdog), message="the call is under way")
        watchdog.process.send(signal.SIGTERM)
        answer = receive_all(raw)
    assert answer.endswith(b"slept 1\n")
    assert b"Connection: close" in answer
    assert watchdog.process.wait() == 0


def test_drain_is_unhealthy_but_still_serves_until_the_interval_is_over(serve: Serve) -> None:
    watchdog = serve("echo", healthcheck_interval="60s")
    watchdog.process.send(signal.SIGTERM)
    wait_until(lambda: watchdog.request(None, "/_/health", "GET").status == 503, message="unhealthy")
    assert watchdog.request(None, "/_/ready", "GET").status == 503
    assert watchdog.request(b"late").body == b"late"
    assert watchdog.process.exit_code is None
    watchdog.process.send(signal.SIGTERM)
    assert watchdog.process.wait() == 0


def test_drain_gives_up_on_a_call_after_write_timeout(serve: Serve, tmp_path: Path) -> None:
    watchdog = serve("family", write_timeout="500ms", healthcheck_interval="0")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        raw.sendall(post(str(pids).encode()))
        family = processes_in(pids)
        watchdog.process.send(signal.SIGTERM)
        assert watchdog.process.wait() == 0
        assert receive_all(raw) == b""
    wait_until(lambda: not any(map(is_running, family)), message="parent and grandchild are dead")


def test_many_calls_at_once_get_their_own_answers(serve: Serve) -> None:
    watchdog = serve("echo", workers="2")
    answers: dict[int, bytes] = {}

    def call(number: int) -> None:
        answers[number] = watchdog.request(b"%d" % number).body

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: b"%d" % number for number in range(40)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "set fprocess to a command, or handler_path"),
        ({"fprocess": "/no/such/program"}, '"/no/such/program"'),
        ({"fprocess": "cat", "mode": "streaming"}, "mode: expected one of fork, python"),
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
    watchdog = serve("echo", exec_timeout="soon")
    assert "exec_timeout: expected seconds or a duration" in watchdog.process.log()
    assert watchdog.request(b"x").status == 200


def _in_flight(watchdog: Watchdog) -> bool:
    children = Path(f"/proc/{watchdog.process.pid}/task/{watchdog.process.pid}/children").read_text().split()
    return bool(children)
