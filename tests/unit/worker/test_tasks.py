"""Ending tasks, also those that lose a cancellation."""

from __future__ import annotations

import asyncio

from worker.tasks import cancel_all


def test_a_task_that_loses_its_first_cancellation_ends_too() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("on the way out")

    async def scenario() -> None:
        tasks = [asyncio.create_task(step()) for step in (stubborn, failing)]
        await asyncio.sleep(0)
        await cancel_all(tasks)
        assert all(task.done() for task in tasks)
        await cancel_all(tasks)

    asyncio.run(scenario())
