"""What one claim goes through, with stand-ins for Redis and the function."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from swarmfn.jobs.claim import Claim, Work
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.wire.invocations import Delivery, Foreign, Invocation, Newer
from swarmfn.wire.policies import Policy
from swarmfn.wire.replicas import ReplicaTable, Route
from tests.support.queue_stage import delivery, invocation
from tests.support.scripted_server import eventually
from worker import runs as module
from worker.budget import ByteBudget, GrowingBudget
from worker.decisions import PLATFORM_TRIES, Answer, Failure, Keeping
from worker.meter import Meter
from worker.receivers import Receivers
from worker.runs import Runs

LARGE = 80


class Bodies:
    """Redis as far as a run needs it. `body` is what is stored; `failures` are raised one by one before."""

    def __init__(self) -> None:
        self.stored: bytes | None = b"L" * LARGE
        self.failures: list[Exception] = []
        self.fetched: list[Claim] = []

    async def body(self, claim: Claim) -> bytes | None:
        self.fetched.append(claim)
        if self.failures:
            raise self.failures.pop(0)
        return self.stored


class Functions:
    """Answers with `result`, or raises it. Also stands for callbacks' receivers."""

    def __init__(self) -> None:
        self.result: Answer | Failure | Exception | asyncio.Event = Answer(200, [], b"out", 0.1)
        self.called: list[tuple[str, bytes, int]] = []

    async def invoke(
        self, table: ReplicaTable, work: Invocation, body: bytes, attempt: int, holder: Hashable
    ) -> Answer | Failure:
        self.called.append((work.call_id, body, attempt))
        return await self._result()

    async def deliver(self, work: Delivery, body: bytes) -> Answer | Failure:
        self.called.append((work.delivery_id, body, 0))
        return await self._result()

    async def _result(self) -> Answer | Failure:
        if isinstance(self.result, Exception):
            raise self.result
        if isinstance(self.result, asyncio.Event):
            await self.result.wait()
            return Answer(200, [], b"", 0.1)
        return self.result


class Stage:
    """Runs, with room for one large body at a time and one offer to a receiver."""

    def __init__(self) -> None:
        self.bodies, self.functions = Bodies(), Functions()
        self.budget, self.answers = ByteBudget(LARGE), GrowingBudget(100)
        self.receivers = Receivers(1, 8)
        self.table: ReplicaTable = {}
        self.runs = Runs(
            self.bodies,
            self.functions,
            self.functions,
            self.receivers,
            lambda: self.table,
            self.budget,
            self.answers,
            Keeping(60, 600, 1000, 30),
            "w1",
            Meter(dict),
        )

    async def run(self, claim: Claim) -> Completion | Postponement:
        return await asyncio.wait_for(self.runs.run(claim), 60)


def claim(work: Work | None = None, large_size: int = 0, **changes: Any) -> Claim:
    work = invocation("a") if work is None else work
    return Claim(
        "a", "e", "echo", work, b"" if large_size else b"in", large_size, changes.pop("failures", 0), **changes
    )


def test_a_call_is_made_with_its_body_and_its_answer_is_the_end() -> None:
    stage = Stage()
    end = asyncio.run(stage.run(claim()))
    assert isinstance(end, Completion)
    assert (end.state, end.answer, stage.functions.called) == ("succeeded", b"out", [("a", b"in", 1)])
    assert stage.bodies.fetched == []


@pytest.mark.parametrize("how", ["ends", "crashes", "is cancelled", "body is gone"])
def test_the_room_of_a_large_body_is_given_back_however_its_run_ends(how: str) -> None:
    stage = Stage()

    async def scenario() -> None:
        if how == "crashes":
            stage.functions.result = RuntimeError("a surprise")
        elif how == "is cancelled":
            stage.functions.result = asyncio.Event()
        elif how == "body is gone":
            stage.bodies.stored = None
        running = asyncio.create_task(stage.runs.run(claim(large_size=LARGE)))
        if how == "is cancelled":
            await eventually(lambda: stage.functions.called)
            running.cancel()
        await asyncio.wait([running], timeout=60)
        assert running.done()
        stage.functions.result, stage.bodies.stored = Answer(200, [], b"", 0.1), b"L" * LARGE
        again = await stage.run(claim(large_size=LARGE))
        assert isinstance(again, Completion)
        assert again.state == "succeeded"

    asyncio.run(scenario())


def test_a_large_body_waits_for_the_room_that_others_have() -> None:
    stage = Stage()

    async def scenario() -> None:
        stage.functions.result = asyncio.Event()
        both = [asyncio.create_task(stage.runs.run(claim(large_size=LARGE))) for _ in range(2)]
        await eventually(lambda: stage.functions.called)
        await asyncio.sleep(0.01)
        assert len(stage.bodies.fetched) == 1
        stage.functions.result.set()
        await asyncio.wait_for(asyncio.gather(*both), 60)
        assert [body for _, body, _ in stage.functions.called] == [b"L" * LARGE] * 2

    asyncio.run(scenario())


def test_a_body_that_is_not_there_any_more_ends_the_call() -> None:
    stage = Stage()
    stage.bodies.stored = None
    end = asyncio.run(stage.run(claim(large_size=LARGE)))
    assert isinstance(end, Completion)
    assert (end.state, stage.functions.called) == ("failed", [])
    assert "no longer stored" in end.note


def test_a_body_is_fetched_again_when_redis_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OUTAGE_PAUSE", 0.0)
    stage = Stage()
    stage.bodies.failures = [RedisConnectionError("away"), RedisConnectionError("away")]
    end = asyncio.run(stage.run(claim(large_size=LARGE)))
    assert isinstance(end, Completion)
    assert (end.state, len(stage.bodies.fetched)) == ("succeeded", 3)


def test_a_surprise_counts_as_a_failure_of_the_platform_and_is_tried_again() -> None:
    stage = Stage()
    stage.functions.result = RuntimeError("secret words")
    end = asyncio.run(stage.run(claim()))
    assert isinstance(end, Postponement)
    assert end.failures == 1
    assert end.attempts is not None
    assert end.attempts[-1].problem == "the worker failed unexpectedly (RuntimeError)"


def test_a_call_whose_worker_died_each_time_is_not_run_once_more() -> None:
    stage = Stage()
    end = asyncio.run(stage.run(claim(failures=PLATFORM_TRIES)))
    assert isinstance(end, Completion)
    assert (end.state, stage.functions.called) == ("failed", [])


def test_what_this_worker_cannot_read_is_failed_and_what_a_newer_one_can_is_left_to_it() -> None:
    stage = Stage()
    foreign = asyncio.run(stage.run(claim(Foreign("its data is odd"))))
    newer = asyncio.run(stage.run(claim(Newer("of a newer layout"), failures=3)))
    assert isinstance(foreign, Completion)
    assert (foreign.state, foreign.note) == ("failed", "not run: its data is odd")
    assert newer == Postponement(30.0, 0, None)
    assert stage.functions.called == []


def test_a_call_that_waited_too_long_is_not_run_and_a_callback_always_is() -> None:
    stage = Stage()
    expired = asyncio.run(stage.run(claim(has_expired=True)))
    assert isinstance(expired, Completion)
    assert (expired.state, stage.functions.called) == ("expired", [])
    delivered = asyncio.run(stage.run(claim(delivery("cb_1", "a"), has_expired=True)))
    assert isinstance(delivered, Completion)
    assert (delivered.state, stage.functions.called) == ("succeeded", [("cb_1", b"in", 0)])


def test_an_offer_beyond_a_receivers_room_is_put_off_and_costs_no_try() -> None:
    stage = Stage()

    async def scenario() -> None:
        stage.functions.result = asyncio.Event()
        first = asyncio.create_task(stage.runs.run(claim(delivery("cb_1", "a"))))
        await eventually(lambda: stage.functions.called)
        put_off = await stage.run(claim(delivery("cb_2", "b"), failures=2))
        assert isinstance(put_off, Postponement)
        assert (put_off.failures, put_off.attempts) == (2, None)
        assert put_off.delay > 0
        elsewhere = asyncio.create_task(stage.runs.run(claim(delivery("cb_3", "c", "http://another/"))))
        await eventually(lambda: len(stage.functions.called) == 2)
        stage.functions.result.set()
        await asyncio.wait_for(asyncio.gather(first, elsewhere), 60)
        assert isinstance(await stage.run(claim(delivery("cb_2", "b"), failures=2)), Completion)

    asyncio.run(scenario())


def test_what_an_answer_takes_of_memory_is_free_once_its_claim_is_forgotten() -> None:
    stage = Stage()
    held = claim()
    stage.answers.take(held, 50)
    stage.runs.forget(claim())  # another one
    assert stage.answers.used == 50
    stage.runs.forget(held)
    assert stage.answers.used == 0


def test_an_attempt_is_noted_with_its_time_and_its_worker() -> None:
    before = time.time()
    end = asyncio.run(Stage().run(claim()))
    assert isinstance(end, Completion)
    (attempt,) = end.attempts
    assert before <= attempt.at <= time.time()
    assert attempt.worker == "w1"


@pytest.mark.parametrize("concurrency", [0, 1])
def test_the_429_of_a_function_with_a_limit_says_that_it_has_no_room(concurrency: int) -> None:
    stage = Stage()
    stage.table = {"echo": Route("echo", (), 1, 5.0, "echo", policy=Policy(concurrency=concurrency))}
    stage.functions.result = Answer(429, [], b"", 0.1)
    end = asyncio.run(stage.run(claim(failures=1)))
    if concurrency:
        assert isinstance(end, Postponement)
        assert (end.failures, end.attempts) == (1, ())
    else:
        assert isinstance(end, Completion)
        assert end.state == "failed"


@pytest.mark.parametrize("status", [200, 404])
def test_a_callback_that_is_given_up_is_logged(status: int, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.functions.result = Answer(status, [], b"", 0.1)
    end = asyncio.run(stage.run(claim(delivery("cb_1", "a"))))
    assert isinstance(end, Completion)
    assert ("the callback to receiver:80 is given up: the receiver answered 404" in caplog.text) == (status == 404)
