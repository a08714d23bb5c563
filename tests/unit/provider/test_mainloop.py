"""The thread that owns a local provider's state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from swarmfn.provider.local.mainloop import MainLoop
from swarmfn.wire.errors import EngineUnavailable
from tests.support.waiting import wait_until


@contextmanager
def running(loop: MainLoop) -> Iterator[MainLoop]:
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
        loop.close()


def test_a_call_returns_after_the_step_that_follows_it() -> None:
    order: list[str] = []
    with running(MainLoop(lambda: order.append("step"))) as loop:
        assert loop.call(lambda: order.append("call")) is None
        seen = list(order)
    assert "step" in seen[seen.index("call") :]


def test_a_call_raises_what_its_action_raises() -> None:
    def fail() -> None:
        raise ValueError("no")

    with running(MainLoop(lambda: None)) as loop, pytest.raises(ValueError, match="no"):
        loop.call(fail)


def test_calls_run_on_one_thread() -> None:
    with running(MainLoop(lambda: None)) as loop:
        names = {loop.call(lambda: threading.current_thread().name) for _ in range(3)}
    assert len(names) == 1
    assert names != {threading.current_thread().name}


def test_a_closed_loop_takes_no_calls() -> None:
    with running(MainLoop(lambda: None)) as loop:
        pass
    with pytest.raises(EngineUnavailable):
        loop.call(lambda: None)
    loop.post(lambda: None)


def test_a_loop_that_never_started_can_be_closed() -> None:
    loop = MainLoop(lambda: None)
    loop.stop()
    loop.close()


def test_a_step_that_fails_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    with caplog.at_level(logging.ERROR), running(MainLoop(fail)) as loop:
        wait_until(lambda: "boom" in caplog.text)
        assert loop.call(lambda: "still here") == "still here"


def test_posted_work_runs_and_its_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("posted")

    with caplog.at_level(logging.ERROR), running(MainLoop(lambda: None)) as loop:
        loop.post(fail)
        wait_until(lambda: "posted" in caplog.text)
