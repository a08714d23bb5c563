"""Questions that wait for a call's end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from gateway.invoke import waiting
from gateway.invoke.waiting import Waiting, seconds_to_wait, without_wait
from swarmfn.wire.errors import InvalidRequest, QueueUnavailable


class Ends:
    """A queue whose calls end when the test says so; notes what it is asked."""

    def __init__(self) -> None:
        self.over: set[str] = set()
        self.asked: list[set[str]] = []
        self.is_away = False

    async def ended(self, call_ids: Collection[str]) -> set[str]:
        self.asked.append(set(call_ids))
        if self.is_away:
            raise QueueUnavailable("away")
        return self.over & set(call_ids)


async def asked_about(queue: Ends, count: int) -> None:
    while not queue.asked or len(queue.asked[-1]) < count:  # noqa: ASYNC110, no event tells
        await asyncio.sleep(0.001)


def test_one_look_serves_everyone_and_each_goes_when_its_call_ends() -> None:
    async def scenario() -> None:
        queue = Ends()
        subject = Waiting(queue)
        async with asyncio.timeout(20):
            first, second, twin = (asyncio.create_task(subject.until_ended(name, 60)) for name in ("a", "b", "a"))
            await asked_about(queue, 2)
            queue.over = {"a"}
            await asyncio.gather(first, twin)
            assert not second.done()
            queue.over = {"b"}
            await second
        assert subject._waiting == {}

    asyncio.run(scenario())


def test_nobody_waits_longer_than_asked_and_nothing_is_looked_at_afterwards() -> None:
    async def scenario() -> None:
        queue = Ends()
        subject = Waiting(queue)
        await subject.until_ended("a", 0.01)
        async with asyncio.timeout(20):
            while subject._looking is not None:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0.001)
        asked = len(queue.asked)
        await asyncio.sleep(0.1)
        assert len(queue.asked) == asked

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["redis away", "gateway stops", "client leaves"])
def test_nobody_waits_in_vain(how: str) -> None:
    async def scenario() -> None:
        queue = Ends()
        subject = Waiting(queue)
        task = asyncio.create_task(subject.until_ended("a", 3600))
        async with asyncio.timeout(20):
            await asked_about(queue, 1)
            if how == "redis away":
                queue.is_away = True
            elif how == "gateway stops":
                subject.stop()
            else:
                task.cancel()
            await asyncio.wait([task])
            if how == "gateway stops":
                await subject.until_ended("b", 3600)
        assert subject._waiting == {}

    asyncio.run(scenario())


def test_only_so_many_wait_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_MOST", 2)

    async def scenario() -> None:
        queue = Ends()
        subject = Waiting(queue)
        tasks = [asyncio.create_task(subject.until_ended(name, 3600)) for name in "ab"]
        async with asyncio.timeout(20):
            await asked_about(queue, 2)
            await subject.until_ended("c", 3600)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("query", "seconds", "rest"),
    [
        ("", 0.0, ""),
        ("wait=30s", 30.0, ""),
        ("wait=5", 5.0, ""),
        ("a=1&wait=1m30s&b=", 90.0, "a=1&b="),
        ("wait=1s&wait=250ms", 0.25, ""),
        ("waiting=1s", 0.0, "waiting=1s"),
    ],
)
def test_the_query_says_how_long(query: str, seconds: float, rest: str) -> None:
    assert seconds_to_wait(query) == seconds
    assert without_wait(query) == rest


@pytest.mark.parametrize("query", ["wait=", "wait=soon", "wait=-1s", "wait=9" + "9" * 5000])
def test_what_is_no_duration_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest, match="wait: "):
        seconds_to_wait(query)
