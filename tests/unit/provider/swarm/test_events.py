"""Following an engine's events: what is heard, and that no connection stays open."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from swarmfn.provider.swarm.engine_api import EngineApi
from swarmfn.provider.swarm.events import Events
from tests.support.waiting import wait_until


class Engine:
    """Streams what it is told to, on a unix socket."""

    def __init__(self, path: Path) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()
        self.has_ended = threading.Event()
        self._said = threading.Condition()
        self._chunks: list[bytes] = []
        self._is_closed = False
        self._server = socketserver.ThreadingUnixStreamServer(str(path), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()
        self.api = EngineApi(f"unix://{path}", timeout=5)

    def say(self, kind: str) -> None:
        self._say(json.dumps({"Type": kind}).encode() + b"\n")

    def break_off(self) -> None:
        self._say(b"")

    def close(self) -> None:
        self.may_answer.set()
        with self._said:
            self._is_closed = True
            self._said.notify_all()
        self.api.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _say(self, chunk: bytes) -> None:
        with self._said:
            self._chunks.append(chunk)
            self._said.notify_all()

    def _handler(engine) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("/version"):
                    self._answer(json.dumps({"ApiVersion": "1.41"}).encode())
                else:
                    self._stream()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                self.close_connection = True
                engine.was_asked.set()
                engine.may_answer.wait()
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    while chunk := self._next():
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                except OSError:
                    engine.has_ended.set()

            def _next(self) -> bytes:
                with engine._said:
                    engine._said.wait_for(lambda: engine._chunks or engine._is_closed)
                    return engine._chunks.pop(0) if engine._chunks else b""

            def log_message(self, *args: Any) -> None:
                return

        Handler.protocol_version = "HTTP/1.1"
        Handler.address_string = lambda self: "client"  # type: ignore[method-assign]
        return Handler


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "engine.sock")
    yield engine
    engine.close()


@pytest.fixture
def follow(engine: Engine) -> Iterator[Callable[[Callable[[bool], None]], Events]]:
    """Fails the test when a connection is left for the garbage collector to close, as an unclosed one is a warning
    for some other test to fail on."""
    following: list[Events] = []

    def start(on_change: Callable[[bool], None]) -> Events:
        events = Events(engine.api, on_change)
        following.append(events)
        events.start()
        return events

    before = open_sockets() - 1
    yield start
    for events in following:
        events.close()
        events._thread.join()
    engine.close()
    assert open_sockets() == before


def open_sockets() -> int:
    """Of this process."""
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(path))
    return sum(link.startswith("socket:") for link in links)


def test_the_kind_of_each_event_is_told(engine: Engine, follow: Callable[..., Events]) -> None:
    heard: list[bool] = []
    follow(heard.append)
    wait_until(lambda: heard == [True])
    engine.say("container")
    engine.say("service")
    wait_until(lambda: heard == [True, False, True])


def test_closing_ends_a_stream_that_is_silent(engine: Engine, follow: Callable[..., Events]) -> None:
    heard: list[bool] = []
    events = follow(heard.append)
    wait_until(lambda: heard == [True])
    events.close()
    assert not events._thread.is_alive()
    engine.say("service")
    assert engine.has_ended.wait(5)
    assert heard == [True]


def test_an_engine_that_answers_after_the_closing_is_left_at_once(
    engine: Engine, follow: Callable[..., Events]
) -> None:
    heard: list[bool] = []
    engine.may_answer.clear()
    events = follow(heard.append)
    assert engine.was_asked.wait(5)
    events.close()
    engine.may_answer.set()
    events._thread.join(5)
    assert not events._thread.is_alive()
    assert heard == []


def test_a_stream_that_breaks_off_is_followed_again(engine: Engine, follow: Callable[..., Events]) -> None:
    heard: list[bool] = []
    follow(heard.append)
    wait_until(lambda: heard == [True])
    engine.break_off()
    wait_until(lambda: heard == [True, True])


def test_a_listener_that_fails_costs_no_connection(engine: Engine, follow: Callable[..., Events]) -> None:
    heard: list[bool] = []

    def fail_once(is_wide: bool) -> None:
        heard.append(is_wide)
        if len(heard) == 2:
            raise RuntimeError("on purpose")

    events = follow(fail_once)
    wait_until(lambda: heard == [True])
    engine.say("container")
    wait_until(lambda: heard == [True, False, True])
    wait_until(lambda: events.failures.sentences == [])
