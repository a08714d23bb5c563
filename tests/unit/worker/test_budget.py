"""The bound on large bodies in memory."""

from __future__ import annotations

import asyncio

import pytest

from worker.budget import BudgetSizes, ByteBudget, GrowingBudget, budget_sizes


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


def test_who_waits_behind_a_large_one_that_gives_up_goes_on_at_once() -> None:
    async def scenario() -> None:
        budget = ByteBudget(10)
        await budget.take(6)
        large = asyncio.create_task(budget.take(9))
        small = asyncio.create_task(budget.take(4))
        await settle()
        assert not small.done()
        large.cancel()
        await asyncio.wait_for(small, 30)

    asyncio.run(scenario())


def test_who_grows_beyond_the_room_waits_but_for_one() -> None:
    async def scenario() -> None:
        budget = GrowingBudget(10)
        await budget.grow("a", 5)
        await budget.grow("b", 5)
        await budget.grow("b", 30)  # somebody has to come to an end
        await budget.grow("b", 30)
        waiting = asyncio.create_task(budget.grow("a", 1))
        small = asyncio.create_task(budget.grow("c", 1))
        await settle()
        assert (waiting.done(), small.done(), budget.used) == (False, False, 70)
        budget.release("b")
        await asyncio.gather(waiting, small)
        assert budget.used == 7

    asyncio.run(scenario())


def test_those_that_wait_for_room_go_on_one_after_the_other() -> None:
    async def scenario() -> None:
        budget = GrowingBudget(10)
        most = 0

        async def answer(name: int) -> None:
            nonlocal most
            try:
                for _ in range(8):
                    await budget.grow(name, 1)
                    most = max(most, budget.used)
                    await asyncio.sleep(0)
            finally:
                budget.release(name)

        await asyncio.wait_for(asyncio.gather(*map(answer, range(40))), 30)
        assert most <= 10 + 8
        assert budget.used == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("is_granted", [False, True])
def test_a_holder_that_gives_up_waiting_leaves_nothing_behind(is_granted: bool) -> None:
    async def scenario() -> None:
        budget = GrowingBudget(10)
        await budget.grow("a", 10)
        await budget.grow("b", 10)
        gone = asyncio.create_task(budget.grow("c", 10))
        following = asyncio.create_task(budget.grow("d", 10))
        await settle()
        if is_granted:
            budget.release("b")
        gone.cancel()
        await settle()
        budget.release("c")
        for holder in "ab":
            budget.release(holder)
        await asyncio.wait_for(following, 30)
        budget.release("d")
        assert budget.used == 0

    asyncio.run(scenario())


MIB = 2**20


@pytest.mark.parametrize(
    ("memory", "processes", "asked_for", "sizes"),
    [
        (512 * MIB, 1, (0, 0, 0), BudgetSizes(128 * MIB, 128 * MIB, 128 * MIB)),
        (512 * MIB, 2, (0, 0, 0), BudgetSizes(64 * MIB, 64 * MIB, 64 * MIB)),
        (64 * MIB, 1, (0, 0, 0), BudgetSizes(32 * MIB, 32 * MIB, 32 * MIB)),
        (64_000 * MIB, 1, (0, 0, 0), BudgetSizes(256 * MIB, 16_000 * MIB, 256 * MIB)),
        (512 * MIB, 1, (0, MIB, 0), BudgetSizes(128 * MIB, MIB, MIB)),
        (512 * MIB, 1, (1, 2, 3), BudgetSizes(1, 2, 3)),
    ],
)
def test_room_follows_from_the_memory_there_is_unless_it_is_set(
    memory: int, processes: int, asked_for: tuple[int, int, int], sizes: BudgetSizes
) -> None:
    assert budget_sizes(memory, processes, *asked_for) == sizes
