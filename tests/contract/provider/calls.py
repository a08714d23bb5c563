"""Calls to replicas, straight to the addresses in the table, as the gateway makes them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from swarmfn.provider import Provider
from tests.contract.provider.engines import Engine
from tests.support.waiting import wait_until

Value = TypeVar("Value")

_CONNECT_TIMEOUT = 3.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: str


def call(engine: Engine, address: str, body: str = "", path: str = "/", timeout: float = 30.0) -> Answer:
    """One exchange with the replica at `address`."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    # A replica that was just killed does not even refuse, where its address is gone with it.
    connection.sock = engine.connect(address, _CONNECT_TIMEOUT)
    connection.sock.settimeout(timeout)
    try:
        connection.request("GET" if path.startswith("/_/") else "POST", path, body)
        response = connection.getresponse()
        return Answer(response.status, response.read().decode().strip())
    finally:
        connection.close()


def call_function(engine: Engine, name: str, body: str = "") -> Answer:
    """A call to the first healthy replica, once there is one."""
    return call(engine, wait_for_replicas(engine.provider, name)[0], body)


def wait_for_replicas(provider: Provider, name: str, count: int | None = None) -> tuple[str, ...]:
    """The addresses of the function, once there are `count` (None: any)."""

    def enough() -> tuple[str, ...] | None:
        addresses = provider.table()[name].addresses
        is_enough = addresses if count is None else len(addresses) == count
        return addresses or ("none",) if is_enough else None

    return wait_until(enough, message=f"{count} replicas of {name}: {provider.table().get(name)}")


class InBackground(Generic[Value]):
    """Runs `action` on a thread; `result` waits for it, and raises what it raised."""

    def __init__(self, action: Callable[[], Value]) -> None:
        self._action = action
        self._answer: list[Value] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> Value:
        self._thread.join()
        if self._error is not None:
            raise self._error
        (answer,) = self._answer
        return answer

    def _run(self) -> None:
        try:
            self._answer.append(self._action())
        except BaseException as exc:
            self._error = exc


class SteadyCalls:
    """Calls a function over and over from a thread while the body of `with` runs; `answers` and `failures` grow."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._engine = engine
        self._name = name
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> SteadyCalls:
        self._thread.start()
        wait_until(lambda: self.answers)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self._is_over.is_set():
            addresses = self._engine.provider.table()[self._name].addresses
            try:
                answer = call(self._engine, addresses[turn % len(addresses)], str(turn))
            except (OSError, http.client.HTTPException, ZeroDivisionError) as exc:
                self.failures.append(repr(exc))
            else:
                (self.answers if answer.status == 200 else self.failures).append(answer.body)
            turn += 1
