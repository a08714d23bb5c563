"""Upkeep under clocks that jump and errors of every kind; a recording queue stands in for Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.consumer import Promoted
from worker import upkeep
from worker.upkeep import Upkeep


class RecordingQueue:
    """Notes what it is asked to do. `clock` is what Redis's clock shows; `failures` are raised one by one."""

    def __init__(self, clock: Callable[[], float], lease: float) -> None:
        self.lease = lease
        self.clock = clock
        self.done: list[str] = []
        self.failures: list[Exception] = []
        self.due_in: float | None = None
        self.cancelled: frozenset[str] = frozenset()

    async def promote(self) -> Promoted:
        self.done.append("promote")
        if self.failures:
            raise self.failures.pop(0)
        return Promoted(self.clock(), self.due_in, self.cancelled)

    async def renew(self, claims: Collection[Claim]) -> frozenset[str]:
        self.done.append("renew")
        if self.failures:
            raise self.failures.pop(0)
        return frozenset({"a:e:q"})

    async def queues(self) -> dict[str, int]:
        return {"full": 2, "empty": 0}

    async def held(self) -> list[tuple[str, str]]:
        return [("limited", "one"), ("free", "two:low")]

    async def let_go(self, function: str, queue: str) -> None:
        self.done.append(f"let go {function} {queue}")

    async def reap(self) -> int:
        self.done.append("reap")
        return 0

    async def tidy(self) -> None:
        self.done.append("tidy")


class Watch:
    """Time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.redis_ahead = 50_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def redis(self) -> float:
        return self.now + self.redis_ahead


def upkeep_of(queue: RecordingQueue) -> tuple[Upkeep, list[str], list[str]]:
    work: list[str] = []
    lost: list[str] = []

    def is_limited(function: str, queue: str) -> bool:
        return (function, queue) == ("limited", "one")

    return Upkeep(queue, list, work.append, lost.extend, is_limited), work, lost


def tend(subject: Upkeep) -> None:
    asyncio.run(subject._tend())


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_nothing_is_taken_over_before_one_lease_has_passed(watch: Watch) -> None:
    queue = RecordingQueue(watch.redis, lease=15)
    subject, work, _ = upkeep_of(queue)
    for _ in range(14):
        tend(subject)
        watch.now += 1
    assert "reap" not in queue.done
    assert set(work) == {"full", "one", "two:low"}
    watch.now += 1
    tend(subject)
    assert "reap" in queue.done


def test_what_was_held_for_a_limit_that_is_gone_is_let_go(watch: Watch) -> None:
    queue = RecordingQueue(watch.redis, lease=15)
    subject, work, _ = upkeep_of(queue)
    tend(subject)
    assert [done for done in queue.done if done.startswith("let go")] == ["let go free two:low"]
    assert work == ["full", "one", "two:low"]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_when_redis_clock_jumps_nothing_is_taken_over_for_one_lease(watch: Watch, jump: float) -> None:
    queue = RecordingQueue(watch.redis, lease=15)
    subject, _, _ = upkeep_of(queue)
    tend(subject)
    watch.now += 20
    tend(subject)
    assert queue.done.count("reap") == 1
    watch.now += 1
    watch.redis_ahead += jump
    tend(subject)
    watch.now += 14
    tend(subject)
    assert queue.done.count("reap") == 1
    watch.now += 1.5
    tend(subject)
    assert queue.done.count("reap") == 2


def test_tidying_happens_about_once_a_minute(watch: Watch) -> None:
    queue = RecordingQueue(watch.redis, lease=15)
    subject, _, _ = upkeep_of(queue)
    for _ in range(10 * 60):
        tend(subject)
        watch.now += 1
    assert 9 <= queue.done.count("tidy") <= 10


@pytest.mark.parametrize("step", ["renew", "tend"])
def test_no_error_ends_upkeep(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(upkeep, "_OUTAGE_PAUSE", 0.0)
    monkeypatch.setattr(upkeep, "_PROMOTE_EVERY", 0.0)

    async def scenario() -> None:
        queue = RecordingQueue(lambda: 0.0, lease=0.0)
        queue.failures = [ValueError("odd bytes"), RedisConnectionError("away"), KeyError("surprise")]
        subject, _, _ = upkeep_of(queue)
        task = asyncio.create_task(getattr(subject, step)())
        async with asyncio.timeout(20):
            while len(queue.done) < 6:  # noqa: ASYNC110, it takes turns of the loop and no event tells
                await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    asyncio.run(scenario())


def test_a_lease_that_could_not_be_renewed_is_tried_again_before_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are long here: a second renewal within the test can only be the one after the outage."""
    monkeypatch.setattr(upkeep, "_OUTAGE_PAUSE", 0.0)

    async def scenario() -> None:
        queue = RecordingQueue(lambda: 0.0, lease=3600.0)
        queue.failures = [RedisConnectionError("away")]
        subject, _, _ = upkeep_of(queue)
        task = asyncio.create_task(subject.renew())
        async with asyncio.timeout(20):
            while len(queue.done) < 2:  # noqa: ASYNC110, it takes turns of the loop and no event tells
                await asyncio.sleep(0)
        task.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("told_by", ["redis", "this worker"])
def test_what_is_due_soon_does_not_wait_for_the_next_turn(monkeypatch: pytest.MonkeyPatch, told_by: str) -> None:
    monkeypatch.setattr(upkeep, "_PROMOTE_EVERY", 3600.0)

    async def scenario() -> None:
        queue = RecordingQueue(lambda: 0.0, lease=15)
        queue.due_in = 0.001 if told_by == "redis" else None
        subject, _, _ = upkeep_of(queue)
        task = asyncio.create_task(subject.tend())
        await asyncio.sleep(0)
        if told_by == "this worker":
            subject.note_due(0.001)
        async with asyncio.timeout(20):
            while queue.done.count("promote") < 2:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(scenario())


def test_cancelled_claims_are_reported_at_the_next_turn(watch: Watch) -> None:
    queue = RecordingQueue(watch.redis, lease=15)
    queue.cancelled = frozenset({"c:e:q"})
    subject, _, lost = upkeep_of(queue)
    tend(subject)
    assert lost == ["c:e:q"]


def test_claims_that_are_no_longer_ours_are_reported(watch: Watch) -> None:
    subject, _, lost = upkeep_of(RecordingQueue(watch.redis, lease=15))
    asyncio.run(subject._renew())
    assert lost == ["a:e:q"]
