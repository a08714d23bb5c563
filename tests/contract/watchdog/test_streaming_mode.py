"""mode=streaming: the output goes out as it comes. mode=serializing: it waits for its end."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Watchdog, receive_all, receive_until

Start = Callable[..., Watchdog]

GET = b"GET / HTTP/1.1\r\nHost: f\r\n\r\n"
CRASHY = f"sh {FUNCTIONS / 'crashy' / 'run.sh'}"


def script(tmp_path: Path, text: str) -> str:
    file = tmp_path / "run.sh"
    file.write_text(text)
    return f"sh {file}"


def test_output_arrives_while_the_run_goes_on(start: Start, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    command = script(tmp_path, f"echo first; until [ -e {shlex.quote(str(go_on))} ]; do sleep 0.05; done; echo second")
    with start(mode="streaming", fprocess=command).connect() as raw:
        raw.sendall(GET)
        head = receive_until(raw, b"first\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Type: application/octet-stream\r\n" in head
        go_on.touch()
        assert receive_until(raw, b"0\r\n\r\n") == b"7\r\nsecond\n\r\n0\r\n\r\n"


def test_input_and_output_flow_at_the_same_time(start: Start) -> None:
    with start(mode="streaming", fprocess="cat").connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n")
        for word in (b"one\n", b"two\n"):
            raw.sendall(b"4\r\n" + word + b"\r\n")
            assert receive_until(raw, word + b"\r\n").endswith(b"4\r\n" + word + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert receive_until(raw, b"0\r\n\r\n") == b"0\r\n\r\n"


def test_run_that_takes_too_long_is_broken_off_after_its_output(start: Start, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = script(tmp_path, f"trap '' TERM; echo $$ > {shlex.quote(str(pid))}; echo first; while :; do :; done")
    watchdog = start(mode="streaming", fprocess=command, exec_timeout="500ms")
    with watchdog.connect() as raw:
        raw.sendall(GET)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = receive_all(raw)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"first\n\r\n")
    wait_until(lambda: not is_running(int(pid.read_text())), message="the run is dead")
    assert "event=exec_timeout" in watchdog.process.log()


def test_time_is_over_even_while_the_caller_does_not_read(start: Start, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = script(tmp_path, f"echo $$ > {shlex.quote(str(pid))}; exec cat /dev/zero")
    watchdog = start(mode="streaming", fprocess=command, exec_timeout="500ms")
    with watchdog.connect() as raw:
        raw.sendall(GET)
        running = int(wait_until(lambda: pid.exists() and pid.read_text()))
        wait_until(lambda: not is_running(running), message="the run is dead")


def test_failure_before_any_output_has_a_status(start: Start) -> None:
    answer = start(mode="streaming", fprocess="sh -c exit${IFS}4").request(b"")
    assert (answer.status, answer.body) == (500, b"exit status 4\n")


def test_failure_after_output_is_in_the_log(start: Start) -> None:
    watchdog = start(mode="streaming", fprocess=CRASHY)
    answer = watchdog.request(b"exit\n", headers={"X-Call-Id": "c-3"})
    assert (answer.status, answer.body) == (200, b"some output\n")
    watchdog.process.wait_for_log("the function failed: exit status 3")
    assert re.search(r"the function failed: exit status 3.*call_id=c-3", watchdog.process.log())


@pytest.mark.parametrize("mode", ["streaming", "serializing"])
def test_standard_error_goes_to_the_log(start: Start, mode: str) -> None:
    watchdog = start(mode=mode, fprocess=CRASHY)
    assert watchdog.request(b"fine\n", headers={"X-Call-Id": "c-7"}).body == b"some output\n"
    assert re.search(r"some complaint.*call_id=c-7", watchdog.process.log())


@pytest.mark.parametrize("mode", ["streaming", "serializing"])
def test_standard_error_can_be_part_of_the_body(start: Start, mode: str) -> None:
    answer = start(mode=mode, fprocess=CRASHY, combine_output="true").request(b"fine\n")
    assert answer.body == b"some output\nsome complaint\n"


def test_serializing_run_that_fails_is_a_500_with_the_error_and_the_output(start: Start) -> None:
    answer = start(mode="serializing", fprocess=CRASHY).request(b"exit\n")
    assert (answer.status, answer.body) == (500, b"exit status 3\nsome output\n")


def test_caller_that_reads_slowly_holds_the_run_back(start: Start, tmp_path: Path) -> None:
    """The command waits at a full pipe instead of the watchdog's memory filling up."""
    watchdog = start(mode="streaming", fprocess=f"head -c {100 << 20} /dev/zero")
    with watchdog.connect() as raw:
        raw.sendall(b"GET / HTTP/1.0\r\nHost: f\r\n\r\n")
        received = len(raw.recv(1))
        peak = 0
        while data := raw.recv(1 << 20):
            received += len(data)
            peak = max(peak, watchdog.memory())
    assert received > 100 << 20
    assert peak < 50 << 20


def test_large_request_is_passed_on_in_flat_memory(start: Start) -> None:
    watchdog = start(mode="streaming", fprocess="wc -c")
    piece = bytes(1 << 20)
    peak = 0
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % (100 << 20))
        for _ in range(100):
            raw.sendall(piece)
            peak = max(peak, watchdog.memory())
        assert b"%d\n" % (100 << 20) in receive_until(raw, b"0\r\n\r\n")
    assert peak < 50 << 20


def test_caller_gone_in_the_middle_of_the_output_ends_the_run(start: Start, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = script(tmp_path, f"echo $$ > {shlex.quote(str(pid))}; exec cat /dev/zero")
    with start(mode="streaming", fprocess=command).connect() as raw:
        raw.sendall(GET)
        raw.recv(100_000)
    running = int(wait_until(lambda: pid.exists() and pid.read_text()))
    wait_until(lambda: not is_running(running), message="the run is dead")


def test_body_that_does_not_arrive_in_time_ends_the_run(start: Start) -> None:
    watchdog = start(mode="streaming", fprocess="cat", read_timeout="500ms")
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 9\r\n\r\nhello")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = receive_all(raw)
    assert received.endswith(b"hello\r\n")
    wait_until(lambda: not watchdog.children(), message="the run is dead")


def test_client_that_sends_everything_before_it_reads_gets_everything(start: Start) -> None:
    body = bytes(20 << 20)
    assert start(mode="streaming", fprocess="cat").request(body).body == body
