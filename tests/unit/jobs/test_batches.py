"""Group commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from swarmfn.jobs.batches import Batcher


class Recorder:
    """A flush that notes its batches and answers each item in upper case."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.has_begun = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None

    async def flush(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        self.has_begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return [item.upper() for item in items]

    def batcher(self, **limits: int) -> Batcher[str, str]:
        return Batcher(self.flush, len, **limits)


def test_what_one_turn_of_the_loop_asks_for_shares_a_round_trip() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = recorder.batcher()
        assert await asyncio.gather(*(batcher.add(text) for text in "abc")) == ["A", "B", "C"]
        assert recorder.batches == [["a", "b", "c"]]

    asyncio.run(scenario())


def test_what_comes_during_a_round_trip_shares_the_next_one() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        recorder.gate = asyncio.Event()
        batcher = recorder.batcher()
        first = batcher.add("a")
        await recorder.has_begun.wait()
        rest = [batcher.add(text) for text in "bcd"]
        recorder.gate.set()
        assert [await first, *await asyncio.gather(*rest)] == ["A", "B", "C", "D"]
        assert recorder.batches == [["a"], ["b", "c", "d"]]

    asyncio.run(scenario())


def test_a_batch_is_bounded_in_items_and_bytes_and_the_order_stays() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = recorder.batcher(max_items=3, max_bytes=10)
        items = ["a", "b", "c", "d", "e" * 8, "f" * 8, "g" * 50, "h"]
        await asyncio.gather(*(batcher.add(item) for item in items))
        assert recorder.batches == [["a", "b", "c"], ["d", "e" * 8], ["f" * 8], ["g" * 50], ["h"]]

    asyncio.run(scenario())


def test_a_failure_is_everyones_who_waits_then_and_nobodys_who_comes_later() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        recorder.failure = ConnectionError("gone")
        batcher = recorder.batcher(max_items=2)
        replies = await asyncio.gather(*(batcher.add(text) for text in "abc"), return_exceptions=True)
        assert [type(reply) for reply in replies] == [ConnectionError] * 3
        assert await batcher.add("d") == "D"
        assert recorder.batches == [["a", "b"], ["d"]]

    asyncio.run(scenario())


def test_too_few_replies_leave_nobody_waiting() -> None:
    async def scenario() -> None:
        async def flush(items: Sequence[str]) -> list[str]:
            return ["only one"]

        batcher: Batcher[str, str] = Batcher(flush, len)
        replies = await asyncio.gather(batcher.add("a"), batcher.add("b"), return_exceptions=True)
        assert [type(reply) for reply in replies] == [RuntimeError, RuntimeError]

    asyncio.run(scenario())


def test_an_item_whose_waiter_was_cancelled_is_flushed_all_the_same() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = recorder.batcher()
        gone, stays = batcher.add("a"), batcher.add("b")
        gone.cancel()
        assert await stays == "B"
        assert recorder.batches == [["a", "b"]]
        assert await batcher.add("c") == "C"

    asyncio.run(scenario())


def test_nobody_waits_for_a_batcher_that_was_cancelled() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        recorder.gate = asyncio.Event()
        batcher = recorder.batcher(max_items=1)
        futures = [batcher.add(text) for text in "ab"]
        await recorder.has_begun.wait()
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}
        task.cancel()
        for future in futures:
            with pytest.raises(asyncio.CancelledError):
                await future
        recorder.gate.set()
        assert await batcher.add("c") == "C"

    asyncio.run(scenario())
