"""Calls of which many crash, hang, are killed or left by their callers: each of the others gets the answer it must get,
and nothing of all that stays in the watchdog."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import free_port, is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Watchdog, WatchdogAt, processes_in

IN_WORKERS = ("python", "wsgi", "asgi")
MODES = ("fork", "streaming", "http", *IN_WORKERS)
CALLERS = 12
WORKERS = 6
KILLED = b"Killed process.\n"
BROKEN = (200, None)
"""The head of an answer whose body never ended."""

OF_RUNS = ("echo", "large", "unread", "exit", "crash", "hang", "spin", "victim", "family", "half", "gone")
IN_PYTHON = (*(action for action in OF_RUNS if action != "half"), "raise")
ACTIONS = {
    "fork": OF_RUNS,
    "streaming": OF_RUNS,
    **dict.fromkeys(IN_WORKERS, IN_PYTHON),
    "http": ("echo", "large", "hang", "half", "garbage", "gone", "leave-large"),
}

SHARES = {"family": 1, "hang": 4, "spin": 4, "half": 4}
"""Of 10 each. These take up their whole time."""


@pytest.fixture(params=[500, pytest.param(10_000, marks=pytest.mark.long)], ids=["short", "long"])
def calls(request: pytest.FixtureRequest) -> int:
    """Of each mode; all of them together in the end."""
    return int(request.param) // len(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_every_caller_gets_its_answer_and_nothing_is_left(mode: str, calls: int, tmp_path: Path, seed: int) -> None:
    metrics = free_port()
    settings = {"metrics_port": metrics, "max_inflight": CALLERS + 2, "exec_timeout": "120s", "workers": WORKERS}
    texts = {name: str(value) for name, value in {**function(mode), **settings}.items()}
    with Watchdog(tmp_path / "log", texts) as watchdog:
        wait_until(
            lambda: mode not in IN_WORKERS or len(watchdog.children()) == WORKERS,
            message="all worker processes are there",
        )
        before = len(open_files(watchdog))
        trouble = Trouble(mode, watchdog, tmp_path)
        wrong = trouble.make(calls, random.Random(seed))
        assert wrong == []
        assert_nothing_is_left(mode, watchdog, before)
        assert trouble.survivors() == []
        page = WatchdogAt("127.0.0.1", metrics).request(None, "/metrics", "GET").body.decode()
        assert "http_requests_in_flight 0\n" in page
        assert trouble.answered <= sum(map(int, re.findall(r"http_requests_total{.*} (\d+)", page))) <= calls
        assert Trouble(mode, watchdog, tmp_path).one("echo", 0) is None


def function(mode: str) -> dict[str, object]:
    if mode == "python":
        return {"handler_path": FUNCTIONS / "troubled"}
    if mode in IN_WORKERS:
        # A single call in each process: what another one there does is not this one's to suffer.
        return {"mode": mode, "handler_path": FUNCTIONS / mode, "handler": "every_mode:troubled", "threads": 1}
    if mode == "http":
        port = free_port()
        command = f"{sys.executable} {FUNCTIONS / 'server' / 'serve.py'} tool {port}"
        return {"mode": mode, "fprocess": command, "upstream_url": f"http://127.0.0.1:{port}"}
    return {"mode": mode, "fprocess": f"sh {FUNCTIONS / 'troubled' / 'run.sh'}"}


def open_files(watchdog: Watchdog) -> list[str]:
    return os.listdir(f"/proc/{watchdog.process.pid}/fd")


def assert_nothing_is_left(mode: str, watchdog: Watchdog, before: int) -> None:
    own = {**dict.fromkeys(IN_WORKERS, WORKERS), "http": 1}.get(mode, 0)
    wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 200, message="no call is under way")
    # A process that was killed last may be on its way out, and the one in its place not there yet.
    wait_until(
        lambda: [is_running(int(pid)) for pid in watchdog.children()] == [True] * own,
        message="no process is left, and no zombie",
    )
    # Kept connections to a server of the function's own are closed after a second.
    wait_until(lambda: len(open_files(watchdog)) <= before, message="no descriptor is left")


@dataclass(frozen=True)
class Wrong:
    """A caller that got something else than it must get."""

    action: str
    got: object


class Trouble:
    """Makes calls of all kinds, several at a time."""

    def __init__(self, mode: str, watchdog: Watchdog, folder: Path) -> None:
        self._mode = mode
        self._watchdog = watchdog
        self._folder = folder
        self._processes: list[int] = []
        self._lock = threading.Lock()
        self.answered = 0

    def make(self, count: int, chance: random.Random) -> list[Wrong]:
        kinds = ACTIONS[self._mode]
        actions = chance.choices(kinds, [SHARES.get(kind, 10) for kind in kinds], k=count)
        print(dict(Counter(actions)))
        numbers = [chance.randrange(10**9) for _ in actions]
        with ThreadPoolExecutor(CALLERS) as pool:
            return [wrong for wrong in pool.map(self.one, actions, numbers) if wrong is not None]

    def survivors(self) -> list[int]:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(map(is_running, self._processes)))
        return [pid for pid in self._processes if is_running(pid)]

    def one(self, action: str, number: int) -> Wrong | None:
        if action in ("gone", "leave-large"):
            self._leave(action, number)
            return None
        body = self._body(action, number)
        got = self._call(action, body)
        with self._lock:
            self.answered += 1
        return None if got == self._expected(action, body) else Wrong(action, got)

    def _body(self, action: str, number: int) -> bytes:
        how = "echo" if action == "large" else action
        rest = f"{number} ".encode() * (200_000 if action in ("large", "unread") else 1)
        return f"{how} {self._file(number)}\n".encode() + rest

    def _file(self, number: int) -> Path:
        return self._folder / f"pids-{number}"

    def _call(self, action: str, body: bytes) -> tuple[int, bytes | None] | str:
        """Status and body; None for a body that breaks off."""
        helper = None
        if action in ("victim", "family"):
            helper = threading.Thread(target=self._meddle, args=(action, Path(body.split()[1].decode())))
            helper.start()
        limit = {"hang": "700ms", "spin": "700ms", "half": "700ms", "family": "5s"}.get(action)
        connection = http.client.HTTPConnection(self._watchdog.host, self._watchdog.port, timeout=120)
        try:
            connection.request("POST", self._path(action), body, {"X-Timeout": limit} if limit else {})
            response = connection.getresponse()
            try:
                return response.status, response.read()
            except (http.client.IncompleteRead, ConnectionResetError):
                return response.status, None
        except (OSError, http.client.HTTPException) as exc:
            return repr(exc)
        finally:
            connection.close()
            if helper is not None:
                helper.join()

    def _meddle(self, action: str, file: Path) -> None:
        pids = processes_in(file)
        with self._lock:
            self._processes += pids
        if action == "victim":
            os.kill(pids[0], signal.SIGKILL)

    def _path(self, action: str) -> str:
        if self._mode != "http":
            return "/"
        return {"echo": "/echo", "large": "/echo", "hang": "/hang", "half": "/slow_body"}.get(action, f"/{action}")

    def _leave(self, action: str, number: int) -> None:
        path = "/large/50" if action == "leave-large" else self._path("hang")
        body = self._body("hang", number)
        with self._watchdog.connect() as raw:
            raw.sendall(
                b"POST %s HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body
            )
            raw.settimeout(number % 50 / 100 + 0.001)
            with contextlib.suppress(TimeoutError):
                raw.recv(1000)

    def _expected(self, action: str, body: bytes) -> tuple[int, bytes | None]:
        rest = body if self._mode == "http" else body.partition(b"\n")[2]
        if action in ("echo", "large"):
            return 200, rest
        if self._mode == "http":
            return {
                "hang": (504, b""),
                "half": BROKEN,
                "garbage": (502, b"The function's server did not send a complete answer. Its log has the details.\n"),
            }[action]
        dead = b"The function's process ended before it answered (%s).\n" if self._mode in IN_WORKERS else b"%s\n"
        segfault, killed = (b"signal 11", b"signal 9")
        if self._mode not in IN_WORKERS:
            segfault, killed = b"signal: segmentation fault", b"signal: killed"
        return {
            "unread": (200, b"not read\n"),
            "exit": (500, dead % b"exit status 3"),
            "crash": (500, dead % segfault),
            "victim": (500, dead % killed),
            "raise": (500, b"The function failed: ValueError. Its log has the details.\n"),
            "hang": (408, KILLED),
            "spin": (408, KILLED),
            "family": (408, KILLED),
            "half": BROKEN if self._mode == "streaming" else (408, KILLED),
        }[action]
