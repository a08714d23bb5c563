"""Handlers that produce their answer bit by bit, and what happens to large bodies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Watchdog, receive_all, receive_until

Start = Callable[..., Watchdog]

HTML = "text/html; charset=utf-8"
MIB = 1 << 20


@pytest.fixture
def streaming(start: Start) -> Callable[..., Watchdog]:
    return lambda **settings: start(handler_path=FUNCTIONS / "streaming", **settings)


def get(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_pieces_are_sent_as_they_are_produced(streaming: Start, tmp_path: Path) -> None:
    with streaming().connect() as raw:
        raw.sendall(get("/pieces", str(tmp_path).encode()))
        assert receive_until(raw, b"first \r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        (tmp_path / "go on").touch()
        assert receive_all(raw) == b"6\r\nsecond\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "status", "media_type", "body"),
    [
        ("/async_pieces", 200, HTML, b"0 1 2 "),
        ("/dict", 202, "text/csv", b"a,b"),
        ("/tuple", 203, HTML, b"xy"),
        ("/nothing", 200, HTML, b""),
        ("/large", 200, HTML, bytes(3_000_000)),
    ],
)
def test_every_way_to_stream(streaming: Start, path: str, status: int, media_type: str, body: bytes) -> None:
    watchdog = streaming()
    for _ in range(2):
        answer = watchdog.request(b"", path)
        assert (answer.status, answer.header("Content-Type"), answer.body) == (status, media_type, body)
        assert float(answer.header("X-Duration-Seconds") or "") > 0


@pytest.mark.parametrize(("path", "words"), [("/fails_first", b"ValueError"), ("/number", b"must yield str or bytes")])
def test_failure_before_the_first_piece_is_a_500(streaming: Start, path: str, words: bytes) -> None:
    answer = streaming().request(b"", path)
    assert answer.status == 500
    assert words in answer.body


def test_failure_amid_the_pieces_breaks_the_answer_off_and_keeps_the_process(streaming: Start) -> None:
    watchdog = streaming()
    answer = watchdog.exchange(get("/fails_amid", b""), may_break=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not answer.endswith(b"0\r\n\r\n")
    assert "a secret detail" in watchdog.process.log()
    assert watchdog.request(b"", "/async_pieces").status == 200
    assert "worker_died" not in watchdog.process.log()


def test_exec_timeout_amid_the_pieces_breaks_the_answer_off(streaming: Start) -> None:
    watchdog = streaming(exec_timeout="500ms")
    answer = watchdog.exchange(get("/hangs", b""), may_break=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not answer.endswith(b"0\r\n\r\n")
    pid = int(answer.partition(b"\r\n\r\n")[2].splitlines()[1])
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), message="the process is gone")
    assert watchdog.request(b"", "/async_pieces").status == 200


def test_slow_client_holds_the_generator_back_and_its_end_stops_it(streaming: Start, tmp_path: Path) -> None:
    watchdog = streaming()
    with watchdog.connect() as raw:
        raw.sendall(get("/forever", str(tmp_path).encode()))
        receive_until(raw, b"\r\n\r\n")
        memory = [_peak(watchdog.process.pid), 0]
        for _ in range(200):
            raw.recv(65536)
        memory[1] = _peak(watchdog.process.pid)
        assert memory[1] - memory[0] < 16 * MIB
    wait_until(lambda: watchdog.request(b"", "/async_pieces").status == 200, message="the process is free or replaced")


def test_head_of_a_stream_has_no_body(streaming: Start) -> None:
    answer = streaming().exchange(get("/dict", b"").replace(b"POST", b"HEAD"))
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert answer.endswith(b"\r\n\r\n")


def test_large_bodies_are_there_once_in_each_process(start: Start, tmp_path: Path) -> None:
    source = "import os\n\ndef handle(event, context):\n    return event.body or str(os.getpid())\n"
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path)
    processes = (watchdog.process.pid, int(watchdog.request(b"").body))
    before = [_peak(pid) for pid in processes]
    body = os.urandom(MIB) * 64
    assert watchdog.request(body).body == body
    grown = [_peak(pid) - old for pid, old in zip(processes, before, strict=True)]
    # The request's copy may not be gone yet when the answer's comes in; three of them would be too many.
    assert max(grown) < 2.5 * len(body)
    assert grown[1] < 1.5 * len(body)


def _peak(pid: int) -> int:
    """The most memory that the process ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
