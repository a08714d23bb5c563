"""A real Redis server on a port of its own: the system's redis-server, or Valkey from the dependencies."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from stack.embedded.redis_binary import find_redis_server
from tests.support.processes import ChildProcess, free_port
from tests.support.waiting import wait_until


def own_password() -> str:
    """Another one each time. A port is used again: what a killed test has left behind must not serve the next one."""
    return f"only-for-tests-{secrets.token_hex(8)}"


def text(value: object) -> str:
    """What Redis keeps at some place, as text. There must be something."""
    assert isinstance(value, bytes)
    return value.decode()


class RedisServer:
    """Started by the constructor; `stop()` or the end of the `with` block ends it.

    Data lies in `directory` as an append-only file, so a server stopped, killed or suspended can come back with
    `start()` or `resume()` on the same port.
    """

    def __init__(self, directory: Path, *settings: str, program: Path | None = None, password: str = "") -> None:
        self._program = program or find_redis_server()
        self._directory = directory
        self._settings = settings
        self._process: ChildProcess | None = None
        self.port = free_port()
        self.password = password or own_password()
        self.start()

    @property
    def address(self) -> str:
        """host:port, as in `faas_redis_address`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@{self.address}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_stopped(self) -> bool:
        return self._process is None

    def client(self) -> redis.Redis:
        """A client of the caller's own, who closes it (`with server.client() as client`)."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Starts it and waits until its data is loaded."""
        self.begin()
        wait_until(self._answers, message="Redis answers")

    def begin(self) -> None:
        """Starts it."""
        command = [str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", self.password]
        command += ["--dir", str(self._directory), "--appendonly", "yes", "--save", "", *self._settings]
        self._process = ChildProcess(command, self._directory / "redis.log")

    def stop(self) -> None:
        """A clean end; data stays."""
        if self._process is not None:
            if self._process.exit_code is None:
                self.resume()
                self._process.terminate()
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def suspend(self) -> None:
        """Connections stay open and nothing answers any more (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.exit_code is not None:
            raise RuntimeError(f"Redis ended with {self._process.exit_code}:\n{self._process.log()}")
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):  # among them that it loads
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
