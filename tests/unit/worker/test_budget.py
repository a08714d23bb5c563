"""The bound on large bodies in memory."""

from __future__ import annotations

import asyncio

import pytest

from worker.budget import ByteBudget


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_bytes_are_handed_out_in_the_order_they_were_asked_for() -> None:
    async def scenario() -> None:
        budget = ByteBudget(10)
        await budget.take(6)
        got: list[int] = []

        async def want(size: int) -> None:
            await budget.take(size)
            got.append(size)

        tasks = [asyncio.create_task(want(size)) for size in (9, 1, 4)]
        await settle()
        assert got == []  # the small ones do not overtake the large one
        budget.give_back(6)
        await settle()
        assert got == [9, 1]
        budget.give_back(9)
        await asyncio.gather(*tasks)
        assert got == [9, 1, 4]

    asyncio.run(scenario())


def test_a_body_larger_than_the_budget_passes_alone() -> None:
    async def scenario() -> None:
        budget = ByteBudget(10)
        await budget.take(100)
        waiting = asyncio.create_task(budget.take(1))
        await settle()
        assert not waiting.done()
        budget.give_back(100)
        await waiting

    asyncio.run(scenario())


@pytest.mark.parametrize("is_granted", [False, True])
def test_one_that_gives_up_waiting_leaves_its_bytes_to_the_next(is_granted: bool) -> None:
    async def scenario() -> None:
        budget = ByteBudget(10)
        await budget.take(10)
        gone = asyncio.create_task(budget.take(10))
        following = asyncio.create_task(budget.take(10))
        await settle()
        if is_granted:
            budget.give_back(10)
            gone.cancel()
        else:
            gone.cancel()
            await settle()
            budget.give_back(10)
        await following
        assert gone.cancelled()

    asyncio.run(scenario())
