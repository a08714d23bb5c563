"""Steady synchronous and asynchronous calls of one function, through the gateway, while something else happens."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import requests

from tests.support.platform import Platform
from tests.support.waiting import wait_until

FINAL = ("succeeded", "failed", "expired", "cancelled")


@dataclass(frozen=True)
class Outcome:
    """What one synchronous call got. `status` 0: no answer at all; `is_ours`: the platform's own answer, not the
    function's. `began` and `ended` are monotonic seconds."""

    began: float
    ended: float
    status: int
    text: str
    is_ours: bool


class SteadyLoad:
    """Calls `name` from the start of the `with` block to its end.

    `callers` threads call synchronously, each as soon as it has its answer and `pause` seconds have passed; one more
    leaves `rate` asynchronous calls a second in the queue. A call that was not accepted is counted in `refused`: a
    careful client sends it again, and the platform does not promise it.
    """

    def __init__(self, platform: Platform, name: str, callers: int = 3, rate: float = 10, pause: float = 0.04) -> None:
        self.outcomes: list[Outcome] = []
        self.accepted: list[str] = []
        self.refused: list[str] = []
        self._platform = platform
        self._name = name
        self._rate = rate
        self._pause = pause
        self._is_over = threading.Event()
        self._async_is_over = threading.Event()
        self._sender = threading.Thread(target=self._send_on)
        self._callers = [threading.Thread(target=self._call_on) for _ in range(callers)]

    def wait_for_calls(self, count: int, timeout: float = 60.0) -> Sequence[Outcome]:
        """The outcomes of the next `count` synchronous calls that begin after now."""
        now = time.monotonic()

        def later() -> list[Outcome]:
            return [outcome for outcome in list(self.outcomes) if outcome.began >= now]

        wait_until(lambda: len(later()) >= count, timeout, f"{count} more calls")
        return later()[:count]

    def failures(self, since: float = 0.0, until: float = float("inf")) -> list[Outcome]:
        """The calls without a 200 that were under way at some time between the two moments."""
        return [
            outcome
            for outcome in list(self.outcomes)
            if outcome.status != 200 and outcome.ended >= since and outcome.began <= until
        ]

    def stop_sending(self) -> None:
        """Ends the asynchronous half; what was accepted is complete then."""
        self._async_is_over.set()
        self._sender.join()

    def assert_all_accepted_succeed(self, timeout: float = 120.0) -> None:
        """Each accepted call ends as succeeded, seen through the gateway."""
        self.stop_sending()
        assert self.accepted, "no call was accepted"
        waiting = list(self.accepted)
        states: Counter[str] = Counter()

        def status_of(call_id: str) -> dict[str, Any]:
            return dict(session.get(f"{self._platform.url}/async-function/{call_id}", timeout=30).json())

        def none_left() -> bool:
            while waiting:
                status = status_of(waiting[-1])
                if status["state"] not in FINAL:
                    return False
                states[status["state"]] += 1
                if status["state"] != "succeeded":
                    raise RuntimeError(f"an accepted call did not succeed: {status}")
                waiting.pop()
            return True

        with requests.Session() as session:
            wait_until(none_left, timeout, f"all {len(self.accepted)} accepted calls are final", every=0.3)
        assert states == {"succeeded": len(self.accepted)}

    def __enter__(self) -> SteadyLoad:
        for thread in (self._sender, *self._callers):
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._async_is_over.set()
        for thread in (self._sender, *self._callers):
            thread.join()

    def _call_on(self) -> None:
        with requests.Session() as session:
            while not self._is_over.wait(self._pause):
                self.outcomes.append(self._call(session))

    def _call(self, session: requests.Session) -> Outcome:
        began = time.monotonic()
        try:
            answer = session.post(f"{self._platform.url}/function/{self._name}", data=b"steady", timeout=60)
        except requests.RequestException as exc:
            return Outcome(began, time.monotonic(), 0, repr(exc), is_ours=True)
        is_ours = "X-OpenFaaS-Internal" in answer.headers
        return Outcome(began, time.monotonic(), answer.status_code, answer.text.strip(), is_ours)

    def _send_on(self) -> None:
        with requests.Session() as session:
            while not self._async_is_over.wait(1 / self._rate):
                self._send(session)

    def _send(self, session: requests.Session) -> None:
        try:
            answer = session.post(f"{self._platform.url}/async-function/{self._name}", data=b"steady", timeout=60)
        except requests.RequestException as exc:
            self.refused.append(repr(exc))
            return
        if answer.status_code == 202:
            self.accepted.append(answer.headers["X-Call-Id"])
        else:
            self.refused.append(f"{answer.status_code} {answer.text.strip()}")
