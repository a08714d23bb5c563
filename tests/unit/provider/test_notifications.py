"""Listeners of the replica table."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from swarmfn.provider.notifications import Notifier
from swarmfn.wire.replicas import ReplicaTable, Route
from tests.support.waiting import wait_until


def table(name: str) -> ReplicaTable:
    return {name: Route(name, (), 1, 60, name)}


@pytest.fixture
def notifier() -> Iterator[Notifier]:
    notifier = Notifier()
    yield notifier
    notifier.close()


def test_a_listener_hears_of_the_present_table_and_of_later_ones(notifier: Notifier) -> None:
    seen: list[ReplicaTable] = []
    notifier.publish(table("a"))
    notifier.watch(seen.append)
    wait_until(lambda: seen == [table("a")])
    notifier.publish(table("b"))
    wait_until(lambda: seen == [table("a"), table("b")])


def test_a_slow_listener_gets_the_latest_table(notifier: Notifier) -> None:
    seen: list[ReplicaTable] = []
    is_busy, go_on = threading.Event(), threading.Event()

    def listener(current: ReplicaTable) -> None:
        seen.append(current)
        is_busy.set()
        go_on.wait()

    notifier.watch(listener)
    is_busy.wait()
    for name in ("a", "b", "c"):
        notifier.publish(table(name))
    go_on.set()
    wait_until(lambda: seen == [{}, table("c")])


def test_unwatch_waits_for_a_call_in_progress(notifier: Notifier) -> None:
    calls: list[str] = []
    is_busy, go_on = threading.Event(), threading.Event()

    def listener(_current: ReplicaTable) -> None:
        is_busy.set()
        go_on.wait()
        calls.append("done")

    unwatch = notifier.watch(listener)

    def end() -> None:
        unwatch()
        calls.append("unwatched")

    is_busy.wait()
    ending = threading.Thread(target=end)
    ending.start()
    go_on.set()
    ending.join()
    assert calls == ["done", "unwatched"]


def test_a_listener_may_end_its_own_watch(notifier: Notifier) -> None:
    seen: list[ReplicaTable] = []
    others: list[ReplicaTable] = []

    def listener(current: ReplicaTable) -> None:
        seen.append(current)
        unwatch()

    unwatch = notifier.watch(listener)
    notifier.watch(others.append)
    notifier.publish(table("a"))
    wait_until(lambda: table("a") in others)
    assert len(seen) == 1


def test_a_listener_that_fails_does_not_keep_others_from_hearing(
    notifier: Notifier, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[ReplicaTable] = []

    def failing(_current: ReplicaTable) -> None:
        raise RuntimeError("boom")

    with caplog.at_level(logging.ERROR):
        notifier.watch(failing)
        notifier.watch(seen.append)
        wait_until(lambda: seen)
    assert "boom" in caplog.text
