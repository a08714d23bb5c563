"""Work that must not end before the program does."""

from __future__ import annotations

import asyncio

import pytest

from swarmfn.background_work import failures_of, keep_running


class Work:
    """Fails, returns, then goes on."""

    def __init__(self) -> None:
        self.turns = 0
        self.goes_on = asyncio.Event()

    async def run(self) -> None:
        self.turns += 1
        if self.turns == 1:
            raise OSError(28, "No space left on device")
        if self.turns == 2:
            return
        self.goes_on.set()
        await asyncio.Event().wait()


def test_work_that_fails_or_returns_begins_anew_and_each_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        work = Work()
        task = asyncio.create_task(keep_running("the publisher", work.run, first_pause=0.01))
        async with asyncio.timeout(60):
            await work.goes_on.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert work.turns == 3

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "the publisher failed (OSError: [Errno 28] No space left on device); it starts again in 0.01 s",
        "the publisher failed (it ended by itself); it starts again in 0.02 s",
    ]
    assert caplog.records[0].exc_info


def test_the_same_failure_is_said_once_and_counted_for_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async def work() -> None:
            raise OSError(28, "No space left on device")

        failures = failures_of("the publisher")
        task = asyncio.create_task(keep_running("the publisher", work, 0.001, failures))
        async with asyncio.timeout(60):
            while failures.times < 4:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0.001)
        task.cancel()
        told = "the publisher fails (OSError: [Errno 28] No space left on device), 4 times so far; the log says more"
        assert failures.sentences == [told]

    asyncio.run(scenario())
    assert len(caplog.records) == 1
