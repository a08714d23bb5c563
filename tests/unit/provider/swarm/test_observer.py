"""When the observer reads everything, and when only tasks."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from swarmfn.provider.swarm import observer as observer_module
from swarmfn.provider.swarm.observer import Observer
from swarmfn.provider.swarm.timing import Timing
from tests.support.waiting import wait_until


class Engine:
    """Has nothing, and counts how often it is asked for its services."""

    def __init__(self) -> None:
        self.times = 0

    def services(self) -> list[dict[str, Any]]:
        self.times += 1
        return []

    def nodes(self) -> list[dict[str, Any]]:
        return []

    def wanted_tasks(self) -> list[dict[str, Any]]:
        return []


class Nobody:
    """Admission and investigator without anything to do."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}

    def check(self, tasks: object) -> None:
        list(cast(Any, tasks))

    def look_into(self, troubled: object) -> None:
        return

    def is_admitted(self, task: object) -> bool:
        return True


class Clock:
    """The real one, except that somebody pokes the observer the first time that it looks at the clock after `arm`:
    that is when it has looked whether anybody has."""

    def __init__(self) -> None:
        self.observer: Observer | None = None
        self.is_armed = threading.Event()

    def monotonic(self) -> float:
        if self.is_armed.is_set() and self.observer is not None:
            self.is_armed.clear()
            self.observer.poke(everything=True)
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_a_hint_that_comes_while_the_observer_looks_at_its_hints_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, clock, nobody = Engine(), Clock(), cast(Any, Nobody())
    monkeypatch.setattr(observer_module, "time", clock)
    timing = Timing(poll=0.02, fast_poll=0.02, full_poll=3600)
    observer = Observer(cast(Any, engine), timing, 60, 60, nobody, nobody, lambda table: None)
    clock.observer = observer
    observer.start()
    try:
        wait_until(lambda: engine.times == 1, message="everything is read at the start")
        clock.is_armed.set()
        wait_until(lambda: engine.times == 2, message="everything is read again")
    finally:
        observer.close()
