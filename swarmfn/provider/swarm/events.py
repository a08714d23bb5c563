"""Hearing from the engine that something has changed, so that nobody has to ask all the time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused, EventStream
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.errors import EngineUnavailable

logger = logging.getLogger(__name__)

_PAUSE = 1.0
_CLOSING = 1.0


class Events:
    """Calls `on_change` on a thread of its own; its argument tells whether services or nodes changed, or only a
    container. Also called when the stream starts again, since something may have been missed."""

    def __init__(self, api: EngineApi, on_change: Callable[[bool], None]) -> None:
        self._api = api
        self._on_change = on_change
        self._stream: EventStream | None = None
        self._is_closing = threading.Event()
        self.failures = RepeatedFailures(logger, "following the engine's events", "events_lost")
        """Those that nobody expected."""
        self._thread = threading.Thread(target=self._run, name="swarm-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_closing.set()
        stream = self._stream
        if stream is not None:
            stream.interrupt()
        if self._thread.ident is not None:
            # An engine that hangs may not even have begun to answer; the thread ends when it does.
            self._thread.join(_CLOSING)

    def _run(self) -> None:
        while not self._is_closing.is_set():
            try:
                self._follow()
            except (EngineUnavailable, EngineRefused) as exc:
                logger.debug("no events from the engine: %s", exc)
            except Exception as exc:
                self.failures.note(exc)
            self._is_closing.wait(_PAUSE)

    def _follow(self) -> None:
        with self._api.events() as stream:
            self._stream = stream
            # Who closes looks at the stream only after this flag is set: one of the two sees the other.
            if self._is_closing.is_set():
                return
            self._on_change(True)
            self.failures.over()
            for event in stream:
                self._on_change(event.get("Type") != "container")
