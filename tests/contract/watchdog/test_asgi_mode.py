"""mode=asgi: an ASGI application by hand."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Answer, Watchdog, receive_all, receive_until

Start = Callable[..., Watchdog]

SETTINGS = {"mode": "asgi", "handler_path": str(FUNCTIONS / "asgi")}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    with Watchdog(tmp_path_factory.mktemp("asgi") / "log", SETTINGS) as watchdog:
        yield watchdog


@pytest.fixture
def start_app(start: Start) -> Start:
    return lambda **settings: start(**SETTINGS, **settings)


def post(path: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1".encode(), b"Host: f", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_state_of_the_lifespan_is_in_each_scope(app: Watchdog) -> None:
    answer = app.request(b"", "/")
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, b"hello", "text/plain")
    assert float(answer.header("X-Duration-Seconds") or "") > 0


def test_scope_describes_the_request(app: Watchdog) -> None:
    answer = app.request(None, "/a%20%C3%BC?x=%201", "PATCH", {"X-Mixed-Case": "ü".encode().decode("latin-1")})
    assert answer.status == 201
    shown = json.loads(answer.body)
    assert ["x-mixed-case", "ü"] in shown.pop("headers")
    assert shown == {
        "method": "PATCH",
        "path": "/a ü",
        "raw_path": "/a%20%C3%BC",
        "query_string": "x=%201",
        "type": "http",
        "http_version": "1.1",
    }


def test_large_body_comes_back_unchanged(app: Watchdog) -> None:
    body = os.urandom(1 << 20) * 20
    assert app.request(body, "/echo").body == body


def test_a_piece_goes_out_for_each_that_comes_in(app: Watchdog) -> None:
    head = b"POST /backwards HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with app.connect() as raw:
        raw.sendall(head)
        for piece in (b"abcde", b"fghij"):
            raw.sendall(b"5\r\n" + piece + b"\r\n")
            assert receive_until(raw, piece[::-1] + b"\r\n").endswith(b"5\r\n" + piece[::-1] + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert receive_all(raw) == b"0\r\n\r\n"


def test_who_listens_for_the_end_is_told_of_it(app: Watchdog, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert app.request(str(notes).encode(), "/listen").body == b"answered"
    wait_until(notes.exists, timeout=20)
    wait_until(lambda: notes.read_text() == "http.disconnect\n", timeout=20)


def test_body_is_asked_for_only_when_the_application_reads(app: Watchdog) -> None:
    expecting = post("/", b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5")
    with app.connect() as raw:
        raw.sendall(expecting)
        assert receive_all(raw).startswith(b"HTTP/1.1 200 OK\r\n")
    with app.connect() as raw:
        raw.sendall(expecting.replace(b"POST / ", b"POST /echo "))
        assert receive_until(raw, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"hello")
        assert receive_until(raw, b"hello").endswith(b"\r\n\r\nhello")


def test_head_has_the_applications_length_and_no_body(app: Watchdog) -> None:
    answer = app.exchange(post("/length", b"", b"Connection: close").replace(b"POST", b"HEAD"))
    assert b"Content-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_calls_share_the_loop_and_each_line_in_the_log_has_its_call(app: Watchdog) -> None:
    answers: list[Answer] = []

    def call(number: int) -> None:
        answers.append(app.request(b"5", "/meet", headers={"X-Call-Id": f"c-{number}"}))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.body for answer in answers}) == 1
    for number in range(5):
        assert re.search(rf"function: met c-{number} .*call_id=c-{number}\]", app.process.log())


def test_caller_gone_is_a_disconnect_and_a_cancelled_task_and_costs_nobody_else(
    start_app: Start, tmp_path: Path
) -> None:
    watchdog, notes = start_app(), tmp_path / "notes"
    with watchdog.connect() as raw:
        raw.sendall(post("/wait", str(notes).encode()))
        wait_until(lambda: notes.exists() and notes.read_text().endswith("\n"))
    wait_until(lambda: notes.read_text().endswith("cancelled\n"))
    pid = notes.read_text().split()[1]
    assert watchdog.request(b"", "/process").body == pid.encode()


def test_exec_timeout_cancels_the_call_and_costs_nobody_else(start_app: Start, tmp_path: Path) -> None:
    watchdog, notes = start_app(), tmp_path / "notes"
    answer = watchdog.request(str(notes).encode(), "/wait", headers={"X-Timeout": "500ms"})
    assert (answer.status, answer.body) == (408, b"Killed process.\n")
    wait_until(lambda: notes.read_text().endswith("cancelled\n"))
    assert watchdog.request(b"", "/process").body == notes.read_text().split()[1].encode()


@pytest.mark.parametrize("path", ["/stubborn", "/hang"])
def test_the_next_call_does_not_end_with_a_call_that_does_not_let_go(start_app: Start, path: str) -> None:
    watchdog = start_app(exec_timeout="1m")
    for _ in range(3):
        assert watchdog.request(b"", path, headers={"X-Timeout": "300ms"}).status == 408
        assert watchdog.request(b"", "/").status == 200


@pytest.mark.parametrize("path", ["/stubborn", "/hang"])
def test_exec_timeout_holds_when_the_application_does_not_let_go(start_app: Start, path: str) -> None:
    watchdog = start_app(exec_timeout="500ms")
    pid = int(watchdog.request(b"", "/process").body)
    answer = watchdog.request(b"", path)
    assert (answer.status, answer.body) == (408, b"Killed process.\n")
    wait_until(lambda: not is_running(pid), message="its process is gone")
    assert watchdog.request(b"", "/").status == 200


def test_application_may_go_on_after_its_answer(app: Watchdog, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert app.request(str(notes).encode(), "/background").body == b"answered"
    wait_until(notes.exists)


def test_exception_is_a_500_and_its_traceback_is_in_the_log_only(app: Watchdog) -> None:
    answer = app.request(b"", "/fail", headers={"X-Call-Id": "c-9"})
    assert (answer.status, answer.body) == (500, b"The function failed: ValueError. Its log has the details.\n")
    assert re.search(r"ValueError: a secret detail .*call_id=c-9", app.process.log())


def test_application_that_answers_nothing_is_a_clear_500(app: Watchdog) -> None:
    answer = app.request(b"", "/silent")
    assert answer.status == 500
    assert b"before it had sent a whole response" in answer.body


def test_failure_amid_the_answer_breaks_it_off(app: Watchdog) -> None:
    answer = app.exchange(post("/amid", b"", b"Connection: close"), may_break=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not answer.endswith(b"0\r\n\r\n")


def test_failed_lifespan_ends_the_watchdog_with_the_reason(start_app: Start) -> None:
    watchdog = start_app(wait=False, FAIL_AT_START="yes")
    assert watchdog.process.wait() == 1
    assert "the application failed to start: the database is away" in watchdog.process.log().splitlines()[-1]


def test_application_ends_its_lifespan_at_a_drain(start_app: Start) -> None:
    watchdog = start_app()
    assert watchdog.request(b"", "/").status == 200
    assert watchdog.process.terminate() == 0
    assert "the application has ended" in watchdog.process.log()


def test_application_without_a_lifespan_is_served(start: Start, tmp_path: Path) -> None:
    source = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"fine"})
"""
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(mode="asgi", handler_path=tmp_path)
    assert watchdog.request(b"").body == b"fine"
