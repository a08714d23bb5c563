"""When the observer reads everything, and when only tasks."""

from __future__ import annotations

import logging
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
        self.oddity: Exception | None = None

    def services(self) -> list[dict[str, Any]]:
        self.times += 1
        if self.oddity is not None:
            raise self.oddity
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


def test_an_unforeseen_failure_is_logged_when_it_changes_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine, nobody = Engine(), cast(Any, Nobody())
    timing = Timing(poll=0.02, fast_poll=0.02, full_poll=3600)
    observer = Observer(cast(Any, engine), timing, 60, 60, nobody, nobody, lambda table: None)
    engine.oddity = KeyError("Spec")
    observer.start()
    try:
        wait_until(lambda: engine.times > 3, message="everything is asked for again after each failure")
        (sentence,) = observer.failures.sentences
        assert sentence.startswith("reading the functions' state fails (KeyError: 'Spec'), ")
        engine.oddity = ValueError("at 0x7f00: line 12")
        wait_until(lambda: "ValueError" in observer.failures.sentences[0])
        engine.oddity = ValueError("at 0x7fab: line 7")
        wait_until(lambda: "line 7" in observer.failures.sentences[0])
        engine.oddity = None
        wait_until(lambda: not observer.failures.sentences)
    finally:
        observer.close()
    said = [record for record in caplog.records if "reading the functions' state" in record.getMessage()]
    assert [record.getMessage().partition("(")[2].partition(":")[0] for record in said] == [
        "KeyError",
        "ValueError",
        "",
    ]
    assert [record.exc_info is not None for record in said] == [True, True, False]
