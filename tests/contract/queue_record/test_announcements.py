"""What a worker hears of the gateway: where functions are, and which queues have got work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from swarmfn.jobs import keys
from swarmfn.wire.replicas import REPLICAS_KEY, Route, encode_table
from tests.support.queue_stage import QueueStage
from tests.support.scripted_server import eventually
from worker import replicas as module
from worker.replicas import Announcements

ONE = {"echo": Route("echo", ("10.0.0.1:1",), 1, 5.0, "echo")}
TWO = {"echo": Route("echo", ("10.0.0.1:1", "10.0.0.2:1"), 2, 5.0, "echo")}
LOST = {"echo": Route("echo", ("10.0.0.2:1",), 2, 5.0, "echo", lost=("10.0.0.1:1",))}


class Listening:
    """Announcements that are followed, and what they have told."""

    def __init__(self, stage: QueueStage) -> None:
        self.redis = stage.redis
        self.woken: list[str] = []
        self.lost: list[frozenset[str]] = []
        self.subject = Announcements(stage.client, self.woken.append, self.lost.append)

    def addresses(self) -> tuple[str, ...]:
        return self.subject.table["echo"].addresses if "echo" in self.subject.table else ()


def listen(stage: QueueStage, scenario: Callable[[Listening], Awaitable[None]]) -> Listening:
    listening = Listening(stage)

    async def play() -> None:
        following = asyncio.create_task(listening.subject.follow())
        try:
            await scenario(listening)
            assert not following.done()
        finally:
            following.cancel()
            await asyncio.wait([following])

    stage.run(play())
    return listening


async def looked(it: Listening) -> None:
    async with asyncio.timeout(60):
        await it.subject.has_looked.wait()


def test_the_table_that_is_there_is_read_at_once(stage: QueueStage) -> None:
    stage.redis.set(REPLICAS_KEY, encode_table(ONE))
    it = listen(stage, looked)
    assert it.subject.table == ONE
    assert it.subject.has_table.is_set()


def test_without_a_table_it_has_looked_and_there_is_none(stage: QueueStage) -> None:
    it = listen(stage, looked)
    assert (it.subject.table, it.subject.has_table.is_set()) == ({}, False)


def test_a_change_is_heard_and_one_that_was_missed_is_read(stage: QueueStage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        it.redis.publish(REPLICAS_KEY, encode_table(ONE))  # a change that nobody has stored is only to be heard
        await eventually(lambda: it.addresses() == ONE["echo"].addresses)
        it.redis.set(REPLICAS_KEY, encode_table(TWO))  # without a word
        await eventually(lambda: it.addresses() == TWO["echo"].addresses)

    monkeypatch.setattr(module, "_POLL", 0.2)
    listen(stage, scenario)


def test_queues_that_have_got_work_are_named(stage: QueueStage) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        for queue in ("echo", "other:high"):
            it.redis.publish(keys.WAKE, queue)
        await eventually(lambda: len(it.woken) == 2)

    assert listen(stage, scenario).woken == ["echo", "other:high"]


@pytest.mark.parametrize("document", [b"no json", b"[]", b'{"echo": 1}', b'{"echo": {}}', b"\xff"])
def test_a_table_that_does_not_parse_leaves_the_last_one(stage: QueueStage, document: bytes) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        it.redis.publish(REPLICAS_KEY, document)
        it.redis.publish(keys.WAKE, "after it")
        await eventually(lambda: it.woken)
        assert it.subject.table == ONE

    stage.redis.set(REPLICAS_KEY, encode_table(ONE))
    listen(stage, scenario)


def test_addresses_whose_node_is_down_are_told_once_for_each_table(stage: QueueStage) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        for table in (LOST, LOST, TWO):
            it.redis.publish(REPLICAS_KEY, encode_table(table))
        it.redis.publish(keys.WAKE, "after it")
        await eventually(lambda: it.woken)

    assert listen(stage, scenario).lost == [frozenset({"10.0.0.1:1"})]


def test_a_connection_that_breaks_is_made_again(stage: QueueStage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        it.redis.client_kill_filter(_type="pubsub")
        it.redis.set(REPLICAS_KEY, encode_table(TWO))
        await eventually(lambda: it.addresses() == TWO["echo"].addresses)
        await eventually(lambda: it.redis.publish(keys.WAKE, "again") == 1)
        await eventually(lambda: it.woken)

    monkeypatch.setattr(module, "_PAUSE", 0.01)
    listen(stage, scenario)


def test_a_failure_that_nobody_foresaw_does_not_end_the_listening_and_is_said(
    stage: QueueStage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(it: Listening) -> None:
        await looked(it)
        monkeypatch.setattr(it.subject, "_on_wake", lambda queue: [][0])
        it.redis.publish(keys.WAKE, "fails")
        await eventually(lambda: "following the announcements" in caplog.text)
        monkeypatch.setattr(it.subject, "_on_wake", it.woken.append)
        await eventually(lambda: it.redis.publish(keys.WAKE, "again") and it.woken)

    monkeypatch.setattr(module, "_PAUSE", 0.01)
    listen(stage, scenario)
