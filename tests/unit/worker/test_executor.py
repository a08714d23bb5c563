"""The engine under cancellations that come at odd moments; stand-ins answer for Redis when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.consumer import CannotRecord, ClaimBatch, Promoted
from swarmfn.wire.replicas import ReplicaTable
from tests.support.queue_stage import failure, invocation, postponement, success
from tests.support.scripted_server import eventually
from worker import executor as engine
from worker.executor import Executor
from worker.meter import Meter
from worker.slots import Slots


class Queue:
    """One job, and what has been cancelled; each answer comes when its future is set. `failures` are raised one by one
    when an end is to be recorded."""

    lease = 60.0

    def __init__(self) -> None:
        self.claimed: asyncio.Future[ClaimBatch] = asyncio.Future()
        self.promoted: asyncio.Future[Promoted] = asyncio.Future()
        self.finished: asyncio.Future[bool] = asyncio.Future()
        self.failures: list[Exception] = []
        self.recorded: list[Completion | Postponement] = []
        self.handed_back: list[Claim] = []
        self.alone: list[Claim] = []
        self.away: list[Exception] = []

    async def claim(self, wants: Sequence[tuple[str, int]], limit_of: Callable[[str], str]) -> ClaimBatch:
        claimed = await self.claimed
        self.claimed = asyncio.Future()
        return claimed

    async def claim_alone(self, limits: str) -> ClaimBatch:
        if self.away:
            raise self.away.pop(0)
        return ClaimBatch([self.alone.pop(0)] if self.alone else [], [])

    async def waiting_alone(self) -> int:
        return len(self.alone)

    async def finish(self, claim: Claim, completion: Completion) -> bool:
        return await self._record(completion)

    async def retry_later(self, claim: Claim, postponement: Postponement) -> bool:
        return await self._record(postponement)

    async def _record(self, end: Completion | Postponement) -> bool:
        self.recorded.append(end)
        if self.failures:
            raise self.failures.pop(0)
        return await self.finished

    async def promote(self) -> Promoted:
        return await self.promoted

    async def queues(self) -> dict[str, int]:
        return {}

    async def held(self) -> list[tuple[str, str]]:
        return []

    async def let_go(self, function: str, queue: str) -> None:
        raise AssertionError

    async def reap(self) -> int:
        return 0

    async def tidy(self) -> None:
        return

    async def renew(self, claims: Collection[Claim]) -> frozenset[str]:
        return frozenset()

    async def hand_back(self, claims: Sequence[Claim]) -> int:
        self.handed_back += claims
        return len(claims)


class Runs:
    """Runs that end when `end` is set."""

    def __init__(self) -> None:
        self.end: asyncio.Future[Completion | Postponement] = asyncio.Future()
        self.begun: list[Claim] = []
        self.forgotten: list[Claim] = []

    async def run(self, claim: Claim) -> Completion | Postponement:
        self.begun.append(claim)
        return await asyncio.shield(self.end)

    def forget(self, claim: Claim) -> None:
        self.forgotten.append(claim)


class Announcements:
    """A table without functions, which is there."""

    def __init__(self) -> None:
        self.table: ReplicaTable = {}
        self.has_table, self.has_looked = asyncio.Event(), asyncio.Event()
        self.has_table.set()

    async def follow(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("has_begun", [True, False], ids=["after its first step", "before its first step"])
def test_a_cancelled_run_frees_its_slot(has_begun: bool) -> None:
    async def scenario() -> None:
        queue, runs, slots = Queue(), Runs(), Slots(1, 8)
        executor = Executor(queue, runs, Announcements(), slots, Meter(dict))
        working = asyncio.create_task(executor.run(drain_timeout=60))
        claim = Claim("a", "e", "echo", invocation("a"), b"", 0, 0)
        executor.note_work("echo")
        await asyncio.sleep(0.01)
        queue.claimed.set_result(ClaimBatch([claim], []))
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


class Stage:
    """An executor that works, and what is around it."""

    def __init__(self) -> None:
        self.queue, self.runs, self.slots = Queue(), Runs(), Slots(2, 8)
        self.meter = Meter(dict)
        self.executor = Executor(self.queue, self.runs, Announcements(), self.slots, self.meter)

    async def start(self, call_id: str = "a") -> Claim:
        """A claim whose run has begun."""
        claim = Claim(call_id, "e", "echo", invocation(call_id), b"", 0, 0)
        self.executor.note_work("echo")
        self.queue.claimed.set_result(ClaimBatch([claim], []))
        await eventually(lambda: claim in self.runs.begun)
        return claim

    async def end(self, end: Completion | Postponement) -> None:
        """The run ends, and its end is being recorded."""
        self.runs.end.set_result(end)
        await eventually(lambda: self.queue.recorded)

    def lost_claims(self) -> float | None:
        lines = self.meter.exposition().decode().splitlines()
        return float(next(line for line in lines if line.startswith("swarmfn_worker_lost_claims_total")).split()[1])


@asynccontextmanager
async def working(drain_timeout: float = 60.0) -> AsyncIterator[Stage]:
    stage = Stage()
    work = asyncio.create_task(stage.executor.run(drain_timeout))
    try:
        yield stage
        stage.executor.drain()
        async with asyncio.timeout(60):
            await work
    finally:
        work.cancel()


def test_a_call_cancelled_while_its_result_is_being_recorded_is_not_stopped() -> None:
    """Whether the result or the cancellation came first is Redis's to say; a stopped recording would leave it open."""

    async def scenario() -> None:
        async with working() as stage:
            claim = await stage.start()
            await stage.end(success())
            stage.queue.promoted.set_result(Promoted(0.0, None, frozenset({claim.entry})))
            await asyncio.sleep(0.01)
            assert stage.executor.running == [claim]
            stage.queue.finished.set_result(True)
            await eventually(lambda: not stage.executor.running)
            assert (stage.executor.succeeded, stage.lost_claims()) == (1, 0)

    asyncio.run(scenario())


def test_a_result_that_redis_refuses_counts_as_lost_and_frees_its_slot() -> None:
    async def scenario() -> None:
        async with working() as stage:
            claim = await stage.start()
            await stage.end(success())
            stage.queue.finished.set_result(False)
            await eventually(lambda: not stage.executor.running)
            assert (stage.executor.succeeded, stage.executor.failed, stage.lost_claims()) == (0, 0, 1)
            assert (stage.slots.in_flight, stage.runs.forgotten) == (0, [claim])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("end", "counts"), [(success(), (1, 0)), (failure(), (0, 1)), (postponement(), (0, 0))], ids=lambda value: ""
)
def test_a_recorded_end_is_counted_once(end: Completion | Postponement, counts: tuple[int, int]) -> None:
    async def scenario() -> None:
        async with working() as stage:
            await stage.start()
            await stage.end(end)
            stage.queue.finished.set_result(True)
            await eventually(lambda: not stage.executor.running)
            assert (stage.executor.succeeded, stage.executor.failed) == counts
            assert (stage.queue.recorded, stage.lost_claims()) == ([end], 0)

    asyncio.run(scenario())


def test_a_result_is_kept_while_redis_is_away_and_recorded_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_OUTAGE_PAUSE", 0.0)

    async def scenario() -> None:
        async with working() as stage:
            stage.queue.failures = [RedisConnectionError("away"), RedisConnectionError("away")]
            stage.queue.finished.set_result(True)
            await stage.start()
            await stage.end(success())
            await eventually(lambda: not stage.executor.running)
            assert (len(stage.queue.recorded), stage.executor.succeeded) == (3, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("problem", [CannotRecord("WRONGTYPE"), ValueError("a surprise")], ids=lambda exc: str(exc))
def test_an_end_that_cannot_be_recorded_frees_its_slot_and_others_go_on(problem: Exception) -> None:
    async def scenario() -> None:
        async with working() as stage:
            stage.queue.failures = [problem]
            stage.queue.finished.set_result(True)
            await stage.start()
            await stage.end(success())
            await eventually(lambda: not stage.executor.running)
            assert (stage.slots.in_flight, stage.executor.succeeded, len(stage.queue.recorded)) == (0, 0, 1)
            await stage.start("b")
            await eventually(lambda: stage.executor.succeeded == 1)

    asyncio.run(scenario())


def test_what_runs_longer_than_the_drain_is_stopped_and_handed_back() -> None:
    async def scenario() -> None:
        async with working(drain_timeout=0.01) as stage:
            claim = await stage.start()
        assert stage.queue.handed_back == [claim]
        assert (stage.executor.running, stage.slots.in_flight, stage.queue.recorded) == ([], 0, [])

    asyncio.run(scenario())


def test_a_hurry_ends_the_drain_at_once() -> None:
    async def scenario() -> None:
        async with working(drain_timeout=3600) as stage:
            claim = await stage.start()
            stage.executor.drain()
            await asyncio.sleep(0.01)
            assert stage.queue.handed_back == []
            stage.executor.hurry()
        assert stage.queue.handed_back == [claim]

    asyncio.run(scenario())


def test_a_drain_does_not_hand_back_what_is_being_recorded() -> None:
    """It would run again although it has ended."""

    async def scenario() -> None:
        async with working(drain_timeout=0.01) as stage:
            await stage.start()
            await stage.end(success())
            asyncio.get_running_loop().call_later(0.2, stage.queue.finished.set_result, True)
        assert (stage.queue.handed_back, stage.executor.succeeded) == ([], 1)

    asyncio.run(scenario())


def test_only_the_queues_that_are_named_are_claimed_from() -> None:
    async def scenario() -> None:
        slots = Slots(1, 8)
        executor = Executor(Queue(), Runs(), Announcements(), slots, Meter(dict), ["one", "callbacks"])
        for queue in ("other", "one:high", "callbacks:receiver", "two"):
            executor.note_work(queue)
        assert sorted(queue for queue, _ in slots.wants()) == ["callbacks:receiver", "one"]

    asyncio.run(scenario())


def test_what_is_to_be_run_alone_runs_one_after_the_other_until_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_OUTAGE_PAUSE", 0.0)
    monkeypatch.setattr(engine, "_NO_ROOM_PAUSE", 0.0)

    async def scenario() -> None:
        stage = Stage()
        stage.queue.away = [RedisConnectionError("away")]
        stage.queue.alone = [Claim(name, "e", "echo", invocation(name), b"", 0, 0) for name in ("a", "b")]
        stage.queue.finished.set_result(True)
        at_once: list[int] = []

        async def run(claim: Claim) -> Completion:
            at_once.append(len(stage.executor.running))
            await asyncio.sleep(0.01)
            return success()

        monkeypatch.setattr(stage.runs, "run", run)
        others = asyncio.all_tasks()
        async with asyncio.timeout(60):
            await stage.executor.run_alone(drain_timeout=60)
        assert (at_once, stage.executor.succeeded) == ([1, 1], 2)
        assert asyncio.all_tasks() == others

    asyncio.run(scenario())


def test_nothing_goes_on_when_the_work_has_ended() -> None:
    async def scenario() -> None:
        others = asyncio.all_tasks()
        async with working():
            pass
        assert asyncio.all_tasks() == others

    asyncio.run(scenario())
