"""mode=wsgi: a Flask application, and what else PEP 3333 allows."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Answer, Watchdog, receive_all, receive_until

Start = Callable[..., Watchdog]

FOLDER = FUNCTIONS / "wsgi"
SETTINGS = {"mode": "wsgi", "handler_path": str(FOLDER)}


@pytest.fixture(scope="module")
def flask_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    with Watchdog(tmp_path_factory.mktemp("wsgi") / "log", SETTINGS) as watchdog:
        yield watchdog


@pytest.fixture(scope="module")
def plain_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    settings = {**SETTINGS, "handler": "handler:plain"}
    with Watchdog(tmp_path_factory.mktemp("wsgi") / "log", settings) as watchdog:
        yield watchdog


def test_write_that_a_thread_kept_cannot_reach_the_next_call(start: Start, tmp_path: Path) -> None:
    source = """
kept = []

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    for write in kept:
        try:
            write(b"late")
        except RuntimeError as exc:
            body += str(exc).encode()
    kept.append(start_response("200 OK", []))
    yield body[:1]
    yield body[1:]
"""
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(mode="wsgi", handler_path=tmp_path)
    assert watchdog.request(b"1 ").body == b"1 "
    assert watchdog.request(b"2 ").body == b"2 the response has ended"


def test_routes_and_queries_work(flask_app: Watchdog) -> None:
    answer = flask_app.request(None, "/hello/w%C3%B6rld?x=1%202", "GET")
    assert (answer.status, answer.body.decode()) == (200, "hello wörld 1 2\n")
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert float(answer.header("X-Duration-Seconds") or "") > 0
    assert flask_app.request(None, "/nowhere", "GET").status == 404
    assert flask_app.request(b"", "/environ").status == 405


def test_head_has_the_length_and_no_body(flask_app: Watchdog) -> None:
    answer = flask_app.exchange(b"HEAD /hello/you HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 11\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_environment_describes_the_request(flask_app: Watchdog) -> None:
    lines = [b"GET /environ?a=b HTTP/1.1", b"Host: example:81", b"X-Twice: 1", b"X-Twice: 2", b"X_Under_Score: forged"]
    answer = flask_app.exchange(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
    for part in (
        b'"HTTP_X_TWICE":"1,2"',
        b'"PATH_INFO":"/environ"',
        b'"QUERY_STRING":"a=b"',
        b'"REQUEST_METHOD":"GET"',
        b'"SCRIPT_NAME":""',
        b'"SERVER_NAME":"example"',
        b'"SERVER_PORT":"81"',
        b'"underscore":null',
        b'"wsgi.multithread":false',
        b'"wsgi.version":[1,0]',
    ):
        assert part in answer


def test_cookies_and_status_come_through(flask_app: Watchdog) -> None:
    answer = flask_app.request(None, "/cookies", "GET", {"Cookie": "x=1; y=2"})
    assert answer.status == 201
    assert answer.body == b'{"x":"1","y":"2"}\n'
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1; Path=/", "b=2; Path=/"]


def test_large_body_comes_back_unchanged(flask_app: Watchdog) -> None:
    body = os.urandom(1 << 20) * 20
    answer = flask_app.request(body, "/echo", headers={"Content-Type": "image/png"})
    assert answer.header("Content-Type") == "image/png"
    assert answer.body == body


def test_failure_is_the_applications_own_answer_and_its_traceback_is_in_the_log(flask_app: Watchdog) -> None:
    answer = flask_app.request(None, "/raise", "GET", {"X-Call-Id": "c-7"})
    assert answer.status == 500
    assert b"Internal Server Error" in answer.body
    log = flask_app.process.log()
    assert "about to fail [event=function_output call_id=c-7]" in log
    assert "a secret detail" in log


def test_a_piece_goes_out_for_each_that_comes_in(flask_app: Watchdog) -> None:
    head = b"POST /backwards HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with flask_app.connect() as raw:
        raw.sendall(head)
        for piece in (b"abcde", b"fghij"):
            raw.sendall(b"5\r\n" + piece + b"\r\n")
            assert receive_until(raw, piece[::-1] + b"\r\n").endswith(b"5\r\n" + piece[::-1] + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert receive_all(raw) == b"0\r\n\r\n"


def test_pieces_are_sent_as_they_are_produced(flask_app: Watchdog, tmp_path: Path) -> None:
    file = tmp_path / "go"
    with flask_app.connect() as raw:
        raw.sendall(f"GET /slowly?until={file} HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n".encode())
        receive_until(raw, b"first\r\n")
        file.touch()
        assert receive_all(raw) == b"6\r\nsecond\r\n0\r\n\r\n"


def test_failure_amid_the_answer_breaks_it_off(flask_app: Watchdog) -> None:
    answer = flask_app.exchange(b"GET /amid HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n", may_break=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not answer.endswith(b"0\r\n\r\n")


def test_body_that_nobody_reads_is_no_trouble(flask_app: Watchdog) -> None:
    for _ in range(2):
        answer = flask_app.request(b"x" * 6_000_000, "/nowhere")
        assert answer.status == 404


def test_slow_upload_takes_no_process_when_bodies_are_buffered(start: Start) -> None:
    watchdog = start(**SETTINGS, http_buffer_req_body="true")
    with watchdog.connect() as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.sendall(b"5\r\nfirst\r\n")
        assert watchdog.request(None, "/hello/you", "GET").status == 200
        raw.sendall(b"4\r\nlast\r\n0\r\n\r\n")
        assert receive_all(raw).endswith(b"\r\n\r\nfirstlast")


def test_process_that_ends_is_replaced(start: Start) -> None:
    watchdog = start(**SETTINGS)
    answer = watchdog.request(None, "/exit", "GET")
    assert answer.status == 500
    assert answer.body == b"The function's process ended before it answered (exit status 3).\n"
    assert watchdog.request(None, "/hello/you", "GET").status == 200


def test_exec_timeout_holds(start: Start) -> None:
    watchdog = start(**SETTINGS, exec_timeout="500ms")
    answer = watchdog.request(None, "/hang", "GET", {"X-Call-Id": "c-8"})
    assert (answer.status, answer.body) == (408, b"Killed process.\n")
    assert "hanging [event=function_output call_id=c-8]" in watchdog.process.log()
    assert watchdog.request(None, "/hello/you", "GET").status == 200


def test_caller_gone_stops_the_run(start: Start) -> None:
    watchdog = start(**SETTINGS)
    with watchdog.connect() as raw:
        raw.sendall(b"GET /hang HTTP/1.1\r\nHost: f\r\n\r\n")
        wait_until(lambda: "hanging" in watchdog.process.log())
    started = time.monotonic()
    assert watchdog.request(None, "/hello/you", "GET").status == 200
    assert time.monotonic() - started < 60


def test_threads_serve_several_calls_in_one_process(start: Start, tmp_path: Path) -> None:
    watchdog = start(**SETTINGS, threads=2)
    file = tmp_path / "go"
    answers: list[Answer] = []
    path = f"/slowly?until={file}"
    waiting = threading.Thread(target=lambda: answers.append(watchdog.request(None, path, "GET")))
    waiting.start()
    assert watchdog.request(None, "/hello/you", "GET").status == 200
    file.touch()
    waiting.join()
    assert answers[0].body == b"firstsecond"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/write", 200, b"written returned"),
        ("/none", 204, b""),
        ("/again", 418, b"short and stout"),
        ("/lines", 200, b"4 3 "),
    ],
)
def test_what_pep_3333_allows(plain_app: Watchdog, path: str, status: int, body: bytes) -> None:
    answer = plain_app.request(b"one\ntwo", path)
    assert (answer.status, answer.body) == (status, body)
    assert answer.header("X-First") is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/early", b"did not call start_response"),
        ("/text", b"must yield bytes, not str"),
        ("/header", b"has characters that are not allowed in a header"),
        ("/more", b"more than its Content-Length"),
    ],
)
def test_what_it_forbids_is_a_clear_500(plain_app: Watchdog, path: str, words: bytes) -> None:
    answer = plain_app.request(b"", path)
    assert answer.status == 500
    assert words in answer.body
    assert answer.header("X-Injected") is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"handler": "handler:nothing"}, "defines no nothing that can be called"),
        ({"handler": "handler"}, 'expected "module:name"'),
        ({"handler": "missing:app"}, "No module named 'missing'"),
    ],
)
def test_what_cannot_be_served_says_why(start: Start, settings: dict[str, str], words: str) -> None:
    watchdog = start(wait=False, **SETTINGS, **settings)
    assert watchdog.process.wait() == 1
    assert words in watchdog.process.log().splitlines()[-1]
