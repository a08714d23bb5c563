"""Calls are cancelled at random moments while they are accepted, run and tried again, and while workers die."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from swarmfn.wire.policies import RetryPolicy
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import text
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, publish

POLICY = RetryPolicy(attempts=5, min_wait=0.02, max_wait=0.2, jitter="full")


def test_every_call_ends_once_cancelled_or_succeeded(stage: QueueStage, tmp_path: Path, seed: int, count: int) -> None:
    chance = random.Random(seed)
    ended = _Ends()
    ids = [f"c{number}" for number in range(count)]
    with RecordingServer(_moody(seed)) as function, RecordingServer(ended.note) as receiver:
        for call_id in ids:
            stage.submit(invocation(call_id, exec_timeout=30, retry=POLICY, callback_url=receiver.url))
        with WorkerProcess(stage.server, tmp_path, max_inflight="20", lease="2s") as worker:
            worker.wait_until_ready()
            # It begins with this, and there is as much to cancel as there can be.
            publish(stage.redis, {"echo": function.address}, exec_timeout=30, concurrency=15)
            cancelled = _cancel_and_kill(stage, worker, chance, ids)
            wait_until(lambda: stage.ledger.final() == count, 300, "every call has ended")
            wait_until(lambda: stage.ledger.total("delivered") == stage.ledger.total("succeeded"), 120)
            wait_until(stage.nothing_claimed, message="no claim is left")
            assert worker.terminate() == 0
    states = Counter(stage.record(call_id).state for call_id in ids)
    assert states == Counter({"cancelled": len(cancelled), "succeeded": count - len(cancelled)})
    assert {call_id for call_id in ids if stage.record(call_id).state == "cancelled"} == cancelled
    # One callback for each that succeeded (again only where a worker died with it in flight), none for the others.
    assert set(ended.told) == set(ids) - cancelled
    stage.ledger.assert_balanced()


def _cancel_and_kill(stage: QueueStage, worker: WorkerProcess, chance: random.Random, ids: list[str]) -> set[str]:
    """Cancels a third of the calls, half of them while they run, and kills a worker process three times meanwhile;
    returns those that were cancelled."""
    cancelled = set()
    were: Counter[str] = Counter()
    steps = len(ids) // 3
    for step in range(steps):
        if step in (steps // 4, steps // 2, 3 * steps // 4):
            worker.kill_child()
        call_id = (_running(stage) if step % 2 else None) or chance.choice(ids)
        was = stage.cancel(call_id)
        were[was] += 1
        if was != "final":
            cancelled.add(call_id)
            assert stage.cancel(call_id) == "final"
        time.sleep(chance.uniform(0, 0.01))  # the moments are what is random here
    print(f"cancelled what was {dict(were)}")
    assert were["started"] >= 3
    return cancelled


def _running(stage: QueueStage) -> str | None:
    entry = stage.redis.zrandmember("swarmfn:leases")
    call_id = text(entry).partition(":")[0] if entry else ""
    return call_id if call_id.startswith("c") and not call_id.startswith("cb_") else None


class _Ends:
    """Which calls a receiver was told about, and how often."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, request: Received) -> Answer:
        with self._lock:
            self.told[str(request.header("X-Call-Id"))] += 1
        return 200, [], b""


def _moody(seed: int) -> Callable[[Received], Answer]:
    """A function that fails a third of its first three attempts, and takes up to 50 ms."""
    chance = random.Random(seed)

    def answer(request: Received) -> Answer:
        time.sleep(chance.uniform(0, 0.05))
        fails = int(request.header("X-Attempt") or 1) <= 3 and chance.random() < 0.33
        return (500 if fails else 200), [], request.body

    return answer
