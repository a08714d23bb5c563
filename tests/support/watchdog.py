"""A real watchdog on a socket of its own, and raw talk with it."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.support.processes import REPOSITORY, ChildProcess, listening_socket
from tests.support.waiting import wait_until

FUNCTIONS = REPOSITORY / "tests" / "functions"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class WatchdogAt:
    """A watchdog that listens somewhere; others may have started it."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def request(
        self,
        body: bytes | None = b"",
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A raw connection; the caller closes it."""
        return socket.create_connection((self.host, self.port), timeout=60)

    def exchange(self, data: bytes, may_break: bool = False) -> bytes:
        """All the server sends after `data`, until it closes; or until it breaks the connection, if it may."""
        with self.connect() as raw:
            raw.sendall(data)
            return receive_all(raw, may_break)

    def is_ready(self) -> bool:
        return self.request(None, "/_/ready", "GET").status == 200


class Watchdog(WatchdogAt):
    """A started one. Use it as a context manager; `settings` are its environment."""

    def __init__(self, log_path: Path, settings: Mapping[str, str], wait: bool = True) -> None:
        """Returns when it is ready; with `wait` false at once."""
        defaults = {"suppress_lock": "true", "metrics_port": "0", "healthcheck_interval": "0", "workers": "1"}
        with listening_socket() as listener:
            super().__init__("127.0.0.1", listener.getsockname()[1])
            descriptor = listener.fileno()
            environment = {**defaults, "listen_fd": str(descriptor), **settings}
            command = [sys.executable, "-m", "fwatchdog"]
            self.process = ChildProcess(command, log_path, environment, pass_fds=(descriptor,))
        if wait:
            try:
                is_json = settings.get("log_format") == "json"
                self.process.wait_for_log('"event": "ready"' if is_json else "event=ready")
            except BaseException:
                self.process.kill()
                raise

    def memory(self) -> int:
        """Resident bytes of the watchdog's own process."""
        status = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def children(self) -> list[str]:
        """The process ids of what it started and has not reaped."""
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.end()


def receive_all(raw: socket.socket, may_break: bool = False) -> bytes:
    """Everything until the other side closes, or resets the connection if it may."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError) if may_break else contextlib.nullcontext():
        while data := raw.recv(65536):
            received += data
    return bytes(received)


def receive_until(raw: socket.socket, end: bytes) -> bytes:
    """Everything up to and with `end`, or until the other side closes."""
    received = bytearray()
    while end not in received and (data := raw.recv(1)):
        received += data
    return bytes(received)


def processes_in(file: Path) -> list[int]:
    """The process ids that `family` wrote; waits for them."""
    return wait_until(lambda: file.exists() and [int(word) for word in file.read_text().split()], message=f"{file}")


class Serve(Protocol):
    """The fixture `serve` of tests/contract/watchdog."""

    mode: str

    def __call__(self, name: str, **settings: object) -> Watchdog: ...

    def shared(self, name: str, **settings: object) -> Watchdog: ...


def post(body: bytes, *headers: bytes) -> bytes:
    """A request with this body and these header lines."""
    lines = [b"POST / HTTP/1.1", b"Host: f", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


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
