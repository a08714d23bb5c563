"""Replicas are admitted once they accept connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from swarmfn.provider.swarm.admission import Admission
from swarmfn.provider.swarm.tasks import Task
from tests.support.waiting import wait_until


class Gate:
    """Connections that wait for `opened`, or are refused."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.is_refusing = False
        self.attempts = 0

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        assert (address, port) == ("10.0.0.1", 8080)
        self.attempts += 1
        if self.is_refusing or not self.opened.wait(10):
            raise ConnectionRefusedError
        return socket.socket()


TASK = Task("t", "s", "n", "running", True, "10.0.0.1")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def news() -> list[bool]:
    return []


@pytest.fixture
def admission(gate: Gate, news: list[bool]) -> Iterator[Admission]:
    admission = Admission(gate.connect, 1.0, 0.05, lambda: news.append(True))
    yield admission
    gate.opened.set()
    admission.close()


def test_one_that_accepts_is_admitted_when_the_check_returns(
    admission: Admission, gate: Gate, news: list[bool]
) -> None:
    gate.opened.set()
    admission.check([TASK])
    wait_until(lambda: admission.is_admitted(TASK))
    admission.check([TASK])
    assert gate.attempts == 1


def test_a_check_does_not_wait_for_one_that_hangs_and_tells_of_it_later(
    admission: Admission, gate: Gate, news: list[bool]
) -> None:
    admission.check([TASK])
    assert not admission.is_admitted(TASK)
    admission.check([TASK])
    assert gate.attempts == 1
    gate.opened.set()
    wait_until(lambda: news)
    assert admission.is_admitted(TASK)


def test_one_that_refused_is_tried_again(admission: Admission, gate: Gate) -> None:
    gate.is_refusing = True
    admission.check([TASK])
    assert not admission.is_admitted(TASK)
    gate.is_refusing = False
    gate.opened.set()

    def admitted() -> bool:
        admission.check([TASK])
        return admission.is_admitted(TASK)

    wait_until(admitted)


def test_one_that_is_gone_is_forgotten(admission: Admission, gate: Gate) -> None:
    gate.opened.set()
    admission.check([TASK])
    wait_until(lambda: admission.is_admitted(TASK))
    admission.check([])
    assert not admission.is_admitted(TASK)


def test_one_for_which_no_thread_was_to_be_had_is_tried_again(
    admission: Admission, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    gate.opened.set()
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            admission.check([TASK])
    admission.check([TASK])
    wait_until(lambda: admission.is_admitted(TASK))
