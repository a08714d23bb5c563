"""The deadline timer by itself."""

from __future__ import annotations

import asyncio

from swarmfn.upstream.deadlines import DeadlineTimer
from tests.support.scripted_server import eventually
from tests.support.upstream_stage import Runner


def test_only_the_latest_deadline_counts_whatever_came_before(runner: Runner) -> None:
    async def scenario() -> None:
        now = asyncio.get_running_loop().time
        passed: list[float] = []
        timer = DeadlineTimer(asyncio.get_running_loop(), lambda: passed.append(now()))
        start = now()
        timer.set(start + 60)
        timer.set(start + 0.02)
        timer.set(start + 0.1)
        await eventually(lambda: passed)
        assert len(passed) == 1
        assert passed[0] >= start + 0.099
        timer.cancel()

    runner(scenario())


def test_a_deadline_that_was_taken_away_does_not_pass(runner: Runner) -> None:
    async def scenario() -> None:
        now = asyncio.get_running_loop().time
        passed: list[float] = []
        timers = [DeadlineTimer(asyncio.get_running_loop(), lambda: passed.append(now())) for _ in range(2)]
        start = now()
        for timer in timers:
            timer.set(start + 0.02)
        timers[0].deadline = None
        timers[1].cancel()
        await eventually(lambda: now() > start + 0.05)
        assert not passed

    runner(scenario())
