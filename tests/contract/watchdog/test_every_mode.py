"""What a caller may rely on, whatever runs the function."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.processes import free_port
from tests.support.waiting import wait_until
from tests.support.watchdog import TIMEOUT_STATUS, Serve, Watchdog, WatchdogAt, post


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


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("serve", ["python", "wsgi", "asgi"], indirect=True)
def test_forked_copy_of_a_run_neither_answers_nor_takes_calls(serve: Serve, threads: str) -> None:
    watchdog = serve("troubled", threads=threads)
    bodies = [b"fork\n%d" % number for number in range(8)]
    assert [watchdog.request(body).body for body in bodies] == [b"%d" % number for number in range(8)]


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
