"""Hands back what dead worker processes had claimed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)

AGAIN_AFTER = 1.0
_LAST_TRY = 6.0
"""Seconds for what is left at the end: a little more than the client waits for an answer of Redis."""


class DeadWorkers:
    """Does it on a thread of its own: a Redis that hangs keeps nobody waiting.

    `hand_back` is called with the name of each dead worker until it succeeds; it returns how many calls it had.
    """

    def __init__(self, hand_back: Callable[[str], int]) -> None:
        self._hand_back = hand_back
        self._lock = threading.Lock()
        self._dead: list[str] = []
        self._thread: threading.Thread | None = None
        self._is_closing = threading.Event()
        self._failures = RepeatedFailures(logger, "handing back the calls of a dead worker", "hand_back_failed")

    def add(self, name: str) -> None:
        """Returns at once."""
        with self._lock:
            self._dead.append(name)
        self.watch()

    def watch(self) -> bool:
        """Sees to it that somebody works on what is left; whether anything is. To be called now and then."""
        with self._lock:
            if self._dead and (self._thread is None or not self._thread.is_alive()):
                thread = threading.Thread(target=self._work, name="handing back calls", daemon=True)
                try:
                    thread.start()
                except RuntimeError as exc:
                    logger.error("cannot hand back the calls of a dead worker (%s); trying again", exc)
                else:
                    self._thread = thread
            return bool(self._dead)

    def close(self) -> None:
        """Tries once more with what is left, and waits a few seconds for that. Leases do the rest."""
        self._is_closing.set()
        if self.watch() and self._thread is not None:
            self._thread.join(_LAST_TRY)

    def _work(self) -> None:
        """Ends when nothing is left; then the next one that dies gets a thread of its own."""
        while True:
            with self._lock:
                if not self._dead:
                    self._thread = None
                    return
                name = self._dead[0]
            is_done = self._try(name)
            with self._lock:
                self._dead.remove(name)
                if not is_done and not self._is_closing.is_set():
                    self._dead.append(name)  # the others first: it may be the only one that cannot be done
            if not is_done:
                self._is_closing.wait(AGAIN_AFTER)

    def _try(self, name: str) -> bool:
        try:
            returned = self._hand_back(name)
        except Unreachable as exc:
            self._failures.note(exc, is_foreseen=True)
            return False
        except Exception as exc:  # whatever it is, the others' calls wait as well
            self._failures.note(exc)
            return False
        self._failures.over()
        if returned:
            logger.warning(
                "handed back %d calls of a dead worker; each runs again alone",
                returned,
                extra={"event": "handed_back", "worker": name},
            )
        return True
