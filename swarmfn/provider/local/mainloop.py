"""The one thread that a provider's state belongs to: no locks, everything happens in an order."""

from __future__ import annotations

import contextlib
import logging
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.errors import EngineUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
_PAUSE_AFTER_ERROR = 1.0


class MainLoop:
    """Runs calls from other threads, file events and `step`, one at a time.

    What is registered with `selector` has a function of the events as its data. `step` runs after every event and
    returns when to run again at the latest (by time.monotonic), None for never.
    """

    def __init__(self, step: Callable[[], float | None]) -> None:
        self.selector = selectors.DefaultSelector()
        self._step = step
        self._calls: queue.SimpleQueue[Callable[[], Callable[[], None]]] = queue.SimpleQueue()
        self._is_closing = False
        # Makes "is it closing?" and "take this call" one moment, so that no caller waits for a loop that has ended.
        self._admission = threading.Lock()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self.selector.register(self._wake_reader, selectors.EVENT_READ, self._on_wake)
        self.failures = RepeatedFailures(logger, "looking after the functions", "step_failed")
        self._lost_events = RepeatedFailures(
            logger, "an event of a function was lost, as its handling", "callback_failed"
        )
        self._thread = threading.Thread(target=self._run, name="local-provider", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, action: Callable[[], Result]) -> Result:
        """Runs `action` in the loop and waits until the step after it is done; returns or raises what it did.

        Raises EngineUnavailable once the loop is closed.
        """
        future: Future[Result] = Future()

        def run() -> Callable[[], None]:
            try:
                result = action()
            except Exception as exc:
                error = exc
                return lambda: future.set_exception(error)
            return lambda: future.set_result(result)

        with self._admission:
            if self._is_closing:
                raise EngineUnavailable("this gateway is stopping and no longer changes functions.")
            self._calls.put(run)
            self._wake()
        return future.result()

    def post(self, action: Callable[[], None]) -> None:
        """Runs `action` in the loop soon; dropped once the loop is closed."""

        def run() -> Callable[[], None]:
            action()
            return _nothing

        with self._admission:
            if not self._is_closing:
                self._calls.put(run)
                self._wake()

    def stop(self) -> None:
        """Ends the thread after the calls it has taken."""
        with self._admission:
            self._is_closing = True
            self._wake()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """Lets go of the selector, once the loop is stopped and nothing else is registered."""
        self.selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _run(self) -> None:
        timeout: float | None = 0.0
        while not (self._is_closing and self._calls.empty()):
            for key, events in self.selector.select(timeout):
                self._guarded(key.data, events)
            answers = self._taken_calls()
            timeout = self._stepped()
            for answer in answers:
                answer()

    def _taken_calls(self) -> list[Callable[[], None]]:
        answers: list[Callable[[], None]] = []
        while True:
            try:
                run = self._calls.get_nowait()
            except queue.Empty:
                return answers
            self._guarded(lambda run=run: answers.append(run()))

    def _stepped(self) -> float | None:
        try:
            wake_at = self._step()
        except Exception as exc:
            self.failures.note(exc)
            return _PAUSE_AFTER_ERROR
        self.failures.over()
        return None if wake_at is None else max(0.0, wake_at - time.monotonic())

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except Exception as exc:
            self._lost_events.note(exc)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # Full of wake-ups already.
            self._wake_writer.send(b"\0")

    def _on_wake(self, _events: int) -> None:
        self._wake_reader.recv(4096)


def _nothing() -> None:
    """The answer to a call that nobody waits for."""
