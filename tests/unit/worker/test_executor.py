"""The engine under cancellations that come at odd moments; stand-ins answer for Redis when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import pytest

from swarmfn.jobs.claimed import Claim
from swarmfn.jobs.claims import Claimed, Promoted
from swarmfn.jobs.endings import Ending, Postponement
from tests.support.queue_stage import invocation
from worker.executor import Executor
from worker.meter import Meter
from worker.slots import Slots


class Queue:
    """One job, and what has been cancelled; each answer comes when its future is set."""

    lease = 60.0

    def __init__(self) -> None:
        self.claimed: asyncio.Future[Claimed] = asyncio.Future()
        self.promoted: asyncio.Future[Promoted] = asyncio.Future()
        self.handed_back: list[Claim] = []

    async def claim(self, wants: Sequence[tuple[str, int]], limit_of: Callable[[str], str]) -> Claimed:
        return await self.claimed

    async def promote(self) -> Promoted:
        return await self.promoted

    async def queues(self) -> dict[str, int]:
        return {}

    async def held(self) -> list[tuple[str, str]]:
        return []

    async def renew(self, claims: Collection[Claim]) -> frozenset[str]:
        return frozenset()

    async def hand_back(self, claims: list[Claim]) -> int:
        self.handed_back += claims
        return len(claims)


class Runs:
    """Runs without end."""

    def __init__(self) -> None:
        self.begun: list[Claim] = []
        self.forgotten: list[Claim] = []

    async def run(self, claim: Claim) -> Ending | Postponement:
        self.begun.append(claim)
        await asyncio.Event().wait()
        raise AssertionError

    def forget(self, claim: Claim) -> None:
        self.forgotten.append(claim)


class Announcements:
    """A table without functions, which is there."""

    def __init__(self) -> None:
        self.table: dict[str, object] = {}
        self.has_table = asyncio.Event()
        self.has_table.set()

    async def follow(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("has_begun", [True, False], ids=["after its first step", "before its first step"])
def test_a_cancelled_run_frees_its_slot(has_begun: bool) -> None:
    async def scenario() -> None:
        queue, runs, slots = Queue(), Runs(), Slots(1, 8)
        executor = Executor(queue, runs, Announcements(), slots, Meter(dict))  # type: ignore[arg-type]
        working = asyncio.create_task(executor.run(drain_timeout=60))
        claim = Claim("a", "e", "echo", invocation("a"), b"", 0, 0)
        executor.note_work("echo")
        await asyncio.sleep(0.01)
        queue.claimed.set_result(Claimed([claim], []))
        if has_begun:
            await asyncio.sleep(0.01)
        # Else in the same turn of the loop, as after a moment in which the process stood still.
        queue.promoted.set_result(Promoted(0.0, None, frozenset({claim.entry})))
        await asyncio.sleep(0.01)
        assert runs.begun == ([claim] if has_begun else [])
        assert (executor.running, slots.in_flight, runs.forgotten) == ([], 0, [claim])
        executor.note_work("echo")
        assert slots.wants() == [("echo", 1)]
        executor.drain()
        async with asyncio.timeout(60):
            await working
        assert queue.handed_back == []

    asyncio.run(scenario())
