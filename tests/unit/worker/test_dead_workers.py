"""Handing back what dead workers had, when that is not possible at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.waiting import wait_until
from worker import dead_workers
from worker.dead_workers import DeadWorkers


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_workers, "AGAIN_AFTER", 0.01)


def handed_back(subject: DeadWorkers) -> Callable[[], bool]:
    return lambda: not subject.watch()


def test_each_is_tried_until_it_succeeds_and_a_problem_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    failures: dict[str, list[Exception]] = {
        "one": [RedisConnectionError("away"), RedisConnectionError("away"), RedisConnectionError("loading")],
        "two": [KeyError("surprise")],
    }
    done: list[str] = []

    def hand_back(name: str) -> int:
        if failures[name]:
            raise failures[name].pop(0)
        done.append(name)
        return 3

    subject = DeadWorkers(hand_back)
    subject.add("one")
    wait_until(handed_back(subject))
    subject.add("two")
    wait_until(handed_back(subject))
    assert done == ["one", "two"]
    said = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert [text.partition("(")[2].partition(")")[0] for text in said if "failed" in text] == [
        "away",
        "loading",
        "KeyError: 'surprise'",
    ]


def test_one_that_cannot_be_done_does_not_keep_the_others_waiting() -> None:
    done: list[str] = []

    def hand_back(name: str) -> int:
        if name == "odd":
            raise ValueError
        done.append(name)
        return 0

    subject = DeadWorkers(hand_back)
    for name in ("odd", "one", "two"):
        subject.add(name)
    wait_until(lambda: done == ["one", "two"])
    assert subject.watch()
    subject.close()
    assert not subject.watch()


def test_a_thread_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def hand_back(name: str) -> int:
        done.append(threading.current_thread().name)
        return 0

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    subject = DeadWorkers(hand_back)
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        subject.add("one")
    wait_until(handed_back(subject))
    assert done == ["handing back calls"]
