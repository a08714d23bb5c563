"""Attempts that follow a function's own answer, as its policy says."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from swarmfn.wire.policies import DEFAULT_CODES, RetryPolicy
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish

QUICK = RetryPolicy(attempts=3, min_wait=0.02, max_wait=0.1)


def failing(status: int, times: int = 1000, *headers: tuple[str, str]) -> Callable[[Received], Answer]:
    """A function that answers that many times with `status`, and then with 200."""
    count = itertools.count()

    def answer(request: Received) -> Answer:
        return (status, list(headers), b"no") if next(count) < times else (200, [], b"yes")

    return answer


def seen_attempts(function: RecordingServer) -> list[str | None]:
    return [request.header("X-Attempt") for request in function.received]


def test_a_503_that_says_when_to_come_back_twice_and_then_a_200(stage: QueueStage) -> None:
    with RecordingServer(failing(503, 2, ("Retry-After", "0"))) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url, retry=QUICK), b"hello")
        record = stage.told("a", "delivered")
    assert record.state == "succeeded"
    assert [(attempt["status"], attempt["number"]) for attempt in record.attempts] == [(503, 1), (503, 2), (200, 3)]
    assert seen_attempts(function) == ["1", "2", "3"]
    assert {request.body for request in function.received} == {b"hello"}
    (callback,) = receiver.received
    assert (callback.header("X-Retry"), callback.header("X-Retry-Max")) == ("2", "2")
    assert (callback.header("X-Function-Status"), callback.body) == ("200", b"yes")


def test_one_that_always_fails_ends_with_all_attempts_and_one_callback_and_can_be_run_again(stage: QueueStage) -> None:
    with RecordingServer(failing(500, 3)) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url, retry=QUICK), b"hello")
        record = stage.told("a", "delivered")
        assert record.state == "failed"
        assert [attempt["status"] for attempt in record.attempts] == [500, 500, 500]
        assert stage.counts() == {"failed": 1}
        (callback,) = receiver.received
        assert callback.header("X-Function-Status") == "500"
        result = stage.job("a").latest_result()
        assert result is not None
        assert result.exc_string == "echo answered 500 (attempt 3 of 3)"
        stage.job("a").requeue()
        wait_until(lambda: stage.record("a").state == "succeeded")
        wait_until(lambda: len(receiver.received) == 2)
    assert seen_attempts(function) == ["1", "2", "3", "1"]
    assert stage.ledger.total("redriven") == 1


def test_a_watchdogs_own_failure_is_tried_again_and_the_functions_404_is_not(stage: QueueStage) -> None:
    broken = failing(501, 1, ("X-OpenFaaS-Internal", "watchdog"))
    with RecordingServer(broken) as function, RecordingServer(failing(404)) as other:
        publish(stage.redis, {"echo": function.address, "other": other.address})
        stage.submit(invocation("a", retry=QUICK))
        stage.submit(invocation("b", "other", retry=QUICK))
        assert stage.final("a").state == "succeeded"
        assert stage.final("b").state == "failed"
    assert (len(function.received), len(other.received)) == (2, 1)


def test_what_the_platform_fails_in_between_is_no_attempt(stage: QueueStage) -> None:
    policy = RetryPolicy(attempts=2, min_wait=0.3, max_wait=0.3)
    with RecordingServer(failing(500, 1)) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", retry=policy))
        wait_until(lambda: stage.record("a").attempts, message="the first attempt")
        publish(stage.redis, {"echo": ()})
        wait_until(lambda: stage.record("a").platform_failures >= 2, message="two failures of the platform")
        publish(stage.redis, {"echo": function.address})
        record = stage.final("a")
    assert record.state == "succeeded"
    assert seen_attempts(function) == ["1", "2"]
    numbers = [attempt.get("number") for attempt in record.attempts]
    assert (numbers[0], numbers[-1], set(numbers[1:-1])) == (1, 2, {None})


def test_attempts_and_waits_survive_the_death_of_worker_and_redis(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    policy = RetryPolicy(attempts=2, min_wait=1.0, max_wait=1.0, codes=DEFAULT_CODES)
    with RecordingServer(failing(500)) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", retry=policy))
        with WorkerProcess(stage.server, tmp_path) as first:
            wait_until(lambda: stage.record("a").state == "retrying", message="the first attempt has failed")
            first.kill()
        with WorkerProcess(stage.server, tmp_path) as second:
            record = stage.final("a")
            assert second.terminate() == 0
    assert [attempt["number"] for attempt in record.attempts] == [1, 2]
    assert len({attempt["worker"] for attempt in record.attempts}) == 2
    assert seen_attempts(function) == ["1", "2"]
