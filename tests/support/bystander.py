"""A client that wants nothing special, from an address of its own, while others are greedy."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from tests.support.raw_http import RawClient, Truncated

ADDRESS = "127.0.0.2"


class Bystander:
    """Calls `name` synchronously and asynchronously (with a callback, if there is a URL for it) and asks for /healthz,
    one after the other on a connection each, from the start of the `with` block to its end."""

    def __init__(self, address: str, name: str, callback_url: str = "") -> None:
        self.problems: list[str] = []
        self.seconds: list[float] = []
        self.accepted: list[str] = []
        """The ids of asynchronous calls."""
        self._gateway = address
        self._headers = [("X-Callback-Url", callback_url)] if callback_url else []
        self._requests = (
            ("POST", f"/function/{name}", b"body", 200),
            ("POST", f"/async-function/{name}", b"body", 202),
            ("GET", "/healthz", None, 200),
        )
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    @property
    def p99(self) -> float:
        """Seconds."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    def _go_on(self) -> None:
        while not self._is_over.is_set():
            for request in self._requests:
                self._ask(*request)
            time.sleep(0.01)

    def _ask(self, method: str, target: str, body: bytes | None, expected: int) -> None:
        began = time.monotonic()
        try:
            with RawClient(self._gateway, ADDRESS) as client:
                client.request(method, target, self._headers if expected == 202 else None, body)
                answer = client.answer(method)
        except (OSError, Truncated) as exc:
            self.problems.append(f"{target}: {exc!r}")
            return
        self.seconds.append(time.monotonic() - began)
        if answer.status != expected:
            self.problems.append(f"{target}: {answer.status} {answer.text}")
        elif expected == 202:
            self.accepted.append(str(answer.header("X-Call-Id")))

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
