"""When a worker process that has died is replaced, with no process in sight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from worker import supervisor as module
from worker.supervisor import Supervisor, _Child


class Watch:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(module, "time", watch)
    return watch


class Workers(Supervisor):
    """Notes what is started; the processes are stand-ins."""

    def __init__(self, watch: Watch) -> None:
        settings: Any = SimpleNamespace(worker_processes=2)
        super().__init__(settings)
        self.started: list[float] = []
        self._watch = watch

    def _start(self, number: int, failures: int) -> None:
        self.started.append(self._watch.now)
        process: Any = SimpleNamespace(returncode=1)
        self._children.append(_Child(process, f"w{number}", number, self._watch.now, failures))


def next_pause(workers: Workers, watch: Watch, ran_for: float) -> float:
    """The process ends after that many seconds; how long it takes until another one has started."""
    watch.now += ran_for
    child = workers._children.pop()
    ended = watch.now
    before = len(workers.started)
    workers._replace(child)
    (due,) = workers._due
    workers._do_what_is_due()
    assert len(workers.started) == before  # not yet
    watch.now = due.at
    workers._do_what_is_due()
    assert len(workers.started) == before + 1
    assert workers._children[-1].number == child.number
    return watch.now - ended


def test_the_pauses_grow_up_to_ten_seconds_while_a_process_keeps_ending_early(watch: Watch) -> None:
    workers = Workers(watch)
    workers._start(0, 0)
    pauses = [next_pause(workers, watch, ran_for=0.5) for _ in range(9)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])


def test_a_process_that_has_failed_for_days_is_still_replaced(watch: Watch) -> None:
    workers = Workers(watch)
    workers._start(0, 20_000)
    assert next_pause(workers, watch, ran_for=0.5) == pytest.approx(10)


def test_one_that_has_run_for_a_while_is_replaced_at_once_again(watch: Watch) -> None:
    workers = Workers(watch)
    workers._start(0, 0)
    for _ in range(5):
        next_pause(workers, watch, ran_for=0.5)
    assert next_pause(workers, watch, ran_for=11) == pytest.approx(0.1)
    assert next_pause(workers, watch, ran_for=1) == pytest.approx(0.2)


def test_the_pauses_of_one_process_are_not_those_of_another(watch: Watch) -> None:
    workers = Workers(watch)
    workers._start(0, 0)
    for _ in range(5):
        next_pause(workers, watch, ran_for=0.5)
    workers._start(1, 0)
    assert next_pause(workers, watch, ran_for=0.5) == pytest.approx(0.1)


def test_while_it_is_stopping_nothing_is_started(watch: Watch) -> None:
    workers = Workers(watch)
    workers._start(0, 0)
    workers._replace(workers._children.pop())
    workers.is_stopping = True
    watch.now += 60
    workers._do_what_is_due()
    assert (len(workers.started), workers._due) == (1, [])
