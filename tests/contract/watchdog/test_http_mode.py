"""mode=http: in front of a server of the function's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import free_port, is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Answer, Watchdog, receive_all, receive_until

Start = Callable[..., Watchdog]
Tool = Callable[..., Watchdog]

SERVER = FUNCTIONS / "server" / "serve.py"


@pytest.fixture
def tool(start: Start) -> Tool:
    """A watchdog before the server that does what a path names."""

    def start_one(name: str = "tool", path: str = "", wait: bool = True, **settings: object) -> Watchdog:
        port = free_port()
        command = f"{sys.executable} {SERVER} {name} {port}"
        return start(wait, mode="http", fprocess=command, upstream_url=f"http://127.0.0.1:{port}{path}", **settings)

    return start_one


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    """One of these for all tests that leave it as they found it."""
    port = free_port()
    settings = {"mode": "http", "fprocess": f"{sys.executable} {SERVER} tool {port}"}
    settings["upstream_url"] = f"http://127.0.0.1:{port}"
    with Watchdog(tmp_path_factory.mktemp("http") / "log", settings) as watchdog:
        yield watchdog


def test_request_reaches_the_server_as_it_was(tool: Tool) -> None:
    watchdog = tool("echo")
    headers = {"X-A": "1", "Content-Type": "text/css", "Host": "f.example", "TE": "x", "Keep-Alive": "x"}
    answer = watchdog.request(b"hello", "/a%20b//c?x=1&x=2", "PUT", headers)
    assert (answer.status, answer.body) == (200, b"hello")
    seen = json.loads(answer.header("X-Seen") or "")
    assert (seen["method"], seen["target"]) == ("PUT", "/a%20b//c?x=1&x=2")
    names = dict(seen["headers"])
    assert names["Host"] == "f.example"
    assert (names["X-A"], names["Content-Type"], names["Content-Length"]) == ("1", "text/css", "5")
    assert {"TE", "Keep-Alive", "Transfer-Encoding"}.isdisjoint(names)


def test_path_of_the_url_comes_first(tool: Tool) -> None:
    seen = json.loads(tool("echo", "/base/").request(b"", "/x").header("X-Seen") or "")
    assert seen["target"] == "/base/x"


@pytest.mark.parametrize("status", [201, 204, 304, 404, 500, 503])
def test_answer_is_the_servers_own(running: Watchdog, status: int) -> None:
    answer = running.request(None, f"/status/{status}", "GET")
    assert answer.status == status
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    # Named by Connection, it is for one hop only.
    assert answer.header("X-Made") is None
    assert float(answer.header("X-Duration-Seconds") or "") > 0


def test_answer_to_head_keeps_its_length(tool: Tool) -> None:
    answer = tool("echo").request(b"hello", "/", "HEAD")
    assert (answer.header("Content-Length"), answer.body) == ("5", b"")


def test_body_may_end_with_the_connection(running: Watchdog) -> None:
    assert running.request(None, "/close", "GET").body == b"until the end"
    assert running.request(None, "/close", "GET").body == b"until the end"


def test_answer_arrives_as_it_is_made(running: Watchdog, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with running.connect() as raw:
        raw.sendall(b"GET /pieces HTTP/1.1\r\nHost: f\r\nX-File: %s\r\n\r\n" % str(go_on).encode())
        assert b"Transfer-Encoding: chunked" in receive_until(raw, b"first\r\n")
        go_on.touch()
        assert receive_until(raw, b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


@pytest.mark.parametrize(("buffered", "framing"), [("false", "Transfer-Encoding"), ("true", "Content-Length")])
@pytest.mark.parametrize("name", ["http_buffer_req_body", "buffer_http"])
def test_chunked_request_can_be_buffered(tool: Tool, name: str, buffered: str, framing: str) -> None:
    watchdog = tool("echo", **{name: buffered})
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
        time.sleep(0.05)
        raw.sendall(b"3\r\nllo\r\n0\r\n\r\n")
        answer = receive_until(raw, b"hello")
    assert f'["{framing}", '.encode() in answer


def test_connection_to_the_server_is_used_again(running: Watchdog) -> None:
    ports = {running.request(None, "/connection", "GET").body for _ in range(10)}
    assert len(ports) < 10


def test_connection_that_the_server_closed_is_not_used_again(running: Watchdog) -> None:
    for _ in range(5):
        assert running.request(b"", "/close").status == 200
        assert running.request(b"abc", "/count").body == b"3"


def test_calls_do_not_wait_for_one_another(tool: Tool) -> None:
    watchdog = tool("sleepy", exec_timeout="30s")
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(watchdog.request(b"1"))) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 20
    assert time.monotonic() - started < 20


def test_call_that_takes_too_long_is_a_504_with_an_empty_body_and_the_next_one_works(tool: Tool) -> None:
    watchdog = tool("sleepy", exec_timeout="300ms")
    answer = watchdog.request(b"20")
    assert (answer.status, answer.body) == (504, b"")
    assert watchdog.request(b"0").body == b"slept 0\n"


def test_call_that_takes_too_long_is_told_so_by_a_closed_connection(tool: Tool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert tool(exec_timeout="500ms").request(None, "/wait", "GET", {"X-File": str(file)}).status == 504
    wait_until(lambda: file.read_text() == "began\ngone\n")


def test_answer_that_takes_too_long_is_broken_off(tool: Tool) -> None:
    with tool(exec_timeout="500ms").connect() as raw:
        raw.sendall(b"GET /slow_body HTTP/1.1\r\nHost: f\r\n\r\n")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = receive_all(raw)
    assert received.endswith(b"first\r\n")


def test_caller_gone_closes_the_exchange(running: Watchdog, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with running.connect() as raw:
        raw.sendall(b"GET /wait HTTP/1.1\r\nHost: f\r\nX-File: %s\r\n\r\n" % str(file).encode())
        wait_until(lambda: file.exists() and file.read_text() == "began\n")
    wait_until(lambda: file.read_text() == "began\ngone\n")


def test_caller_gone_in_the_middle_of_an_answer_closes_the_exchange(running: Watchdog) -> None:
    for _ in range(5):
        with running.connect() as raw:
            raw.sendall(b"GET /large/1000 HTTP/1.1\r\nHost: f\r\n\r\n")
            raw.recv(1000)
    assert running.request(None, "/pid", "GET").status == 200


@pytest.mark.parametrize(
    ("path", "words"), [("/half", None), ("/garbage", b"did not send a complete answer"), ("/early", b"too large")]
)
def test_odd_answers(running: Watchdog, path: str, words: bytes | None) -> None:
    with running.connect() as raw:
        raw.sendall(b"POST %s HTTP/1.1\r\nHost: f\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc" % path.encode())
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = receive_all(raw)
    if words is None:
        # Promised 100 bytes and sent 4: the caller sees the break, too.
        assert received.endswith(b"half")
        assert b"Content-Length: 100\r\n" in received
    else:
        assert words in received
    assert running.request(None, "/pid", "GET").status == 200


def test_large_bodies_pass_in_flat_memory(tool: Tool) -> None:
    watchdog = tool()
    size, piece, peak = 100 << 20, bytes(1 << 20), 0
    with watchdog.connect() as raw:
        raw.sendall(b"POST /count HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(100):
            raw.sendall(piece)
            peak = max(peak, watchdog.memory())
        assert receive_until(raw, b"%d" % size).endswith(b"\r\n\r\n%d" % size)
    with watchdog.connect() as raw:
        raw.sendall(b"GET /large/100 HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
        received = 0
        while data := raw.recv(1 << 20):
            received += len(data)
            peak = max(peak, watchdog.memory())
    assert received > size
    assert peak < 50 << 20


@pytest.mark.parametrize(("path", "ending"), [("/exit/3", "exit status 3"), ("/kill", "signal: killed")])
def test_end_of_the_server_ends_the_watchdog(tool: Tool, path: str, ending: str) -> None:
    watchdog = tool()
    answer = watchdog.request(b"", path)
    assert answer.status == 502
    assert watchdog.process.wait() == 1
    assert f"the function's server ended ({ending})" in watchdog.process.log().splitlines()[-1]


def test_server_that_exits_with_0_ends_the_watchdog_with_an_error_all_the_same(tool: Tool) -> None:
    watchdog = tool()
    watchdog.request(b"", "/exit/0")
    assert watchdog.process.wait() == 1


def test_server_that_ends_at_its_start_says_why(start: Start) -> None:
    command = f"{sys.executable} -c raise(ValueError('no_table'))"
    watchdog = start(wait=False, mode="http", fprocess=command, upstream_url="http://127.0.0.1:9")
    assert watchdog.process.wait() == 1
    log = watchdog.process.log()
    assert "ValueError: no_table" in log
    assert "ended before it listened at http://127.0.0.1:9 (exit status 1)" in log.splitlines()[-1]


def test_calls_wait_until_the_server_listens(start: Start, tmp_path: Path) -> None:
    go_on, port = tmp_path / "go-on", free_port()
    script = tmp_path / "run.sh"
    script.write_text(f"until [ -e {go_on} ]; do sleep 0.05; done; exec {sys.executable} {SERVER} echo {port}\n")
    watchdog = start(wait=False, mode="http", fprocess=f"sh {script}", upstream_url=f"http://localhost:{port}")
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(watchdog.request(b"early")))
    thread.start()
    time.sleep(0.3)
    assert "event=ready" not in watchdog.process.log()
    go_on.touch()
    thread.join()
    assert answers[0].body == b"early"


def test_watchdog_can_be_stopped_while_the_server_does_not_listen(start: Start) -> None:
    watchdog = start(wait=False, mode="http", fprocess="sleep 600", upstream_url=f"http://127.0.0.1:{free_port()}")
    pid = int(wait_until(lambda: watchdog.children())[0])
    assert watchdog.process.terminate() == 0
    assert not is_running(pid)


def test_server_is_told_to_stop_only_after_the_calls_have_ended(tool: Tool) -> None:
    watchdog = tool("sleepy", max_inflight="1")
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 1\r\n\r\n1")
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429)
        watchdog.process.send(signal.SIGTERM)
        assert b"slept 1\n" in receive_all(raw)
    assert watchdog.process.wait() == 0
    assert re.search(r"told to stop[^\0]*stopped by itself", watchdog.process.log())


def test_output_of_the_server_is_in_the_log(running: Watchdog) -> None:
    running.request(b"", "/print")
    running.process.wait_for_log("function: on standard output")
    running.process.wait_for_log("function: on standard error")


def test_processes_of_the_server_end_with_it(start: Start, tmp_path: Path) -> None:
    port, pids, script = free_port(), tmp_path / "pids", tmp_path / "run.sh"
    script.write_text(f"trap '' TERM; {sys.executable} {SERVER} tool {port} & echo $! > {pids}; wait; wait\n")
    watchdog = start(mode="http", fprocess=f"sh {script}", upstream_url=f"http://127.0.0.1:{port}")
    worker = int(pids.read_text())
    os.kill(int(watchdog.children()[0]), signal.SIGKILL)
    assert watchdog.process.wait() == 1
    wait_until(lambda: not is_running(worker), message="the process of the server is dead")
