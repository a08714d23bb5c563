"""Both sides of the queue on one event loop, beside RQ's own view of the same Redis."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from rq import Queue
from rq.job import Job

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.consumer import Consumer, hand_back_all
from swarmfn.jobs.layout import callback_queue
from swarmfn.jobs.records import Record
from swarmfn.jobs.redis_clients import connect
from swarmfn.jobs.submissions import Submissions
from swarmfn.jobs.terms import PLAIN, Full, Replay, Terms
from swarmfn.wire.invocations import Attempt, Delivery, Invocation, StoredResponse
from tests.support.ledger import Ledger
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

Value = TypeVar("Value")


def invocation(call_id: str, function: str = "echo", **changes: Any) -> Invocation:
    """A plain POST to `function`, on a queue of the same name."""
    plain = Invocation(call_id, function, function, function, "POST", "", "", [], 5.0, time.time_ns())
    return dataclasses.replace(plain, **changes)


CALLBACKS = callback_queue("receiver:80")
"""Where the deliveries that `delivery` makes wait."""


def delivery(delivery_id: str, call_id: str, url: str = "http://receiver/") -> Delivery:
    return Delivery(delivery_id, call_id, "echo", url, [])


def success(answer: bytes = b"", status: int = 200, **changes: Any) -> Completion:
    """The function answered."""
    plain = Completion(
        state="succeeded",
        counter="succeeded:echo:echo",
        ttl=60,
        note=f"echo answered {status}",
        response=StoredResponse(status, [("X-Own", "yes")], len(answer)),
        answer=answer,
        attempts=(Attempt(time.time(), 0.25, status, "w1"),),
    )
    return dataclasses.replace(plain, **changes)


def failure(answer: bytes = b"", status: int = 500, **changes: Any) -> Completion:
    return success(answer, status, **{"state": "failed", "counter": "failed:echo:echo", **changes})


def postponement(delay: float = 0.0, failures: int = 1, **changes: Any) -> Postponement:
    attempt = Attempt(time.time(), 0.1, 0, "w1", "it has no healthy replica")
    return dataclasses.replace(Postponement(delay, failures, (attempt,)), **changes)


class QueueStage:
    """Use it as a context manager. `redis` is a blocking client, for looking and for RQ."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.redis = server.client()
        self.ledger = Ledger(self.redis)
        self._runner = asyncio.Runner()
        self.connections = connect(server.address, server.password)
        self.client = self.connections.commands
        self.submissions = Submissions(self.connections)
        self.worker = Consumer(self.connections, "w1")

    def run(self, step: Coroutine[Any, Any, Value]) -> Value:
        return self._runner.run(step)

    def consumer(self, worker: str, lease: float = 15.0) -> Consumer:
        """Another worker's side."""
        return Consumer(self.connections, worker, lease)

    def submit(self, call: Invocation | str, body: bytes = b"", terms: Terms = PLAIN) -> bool | Replay | Full:
        call = invocation(call) if isinstance(call, str) else call
        return self.run(self.submissions.submit(call, body, terms))

    def claim(
        self, *queues: str, count: int = 10, by: Consumer | None = None, limits: Callable[[str], str] = lambda queue: ""
    ) -> list[Claim]:
        wants = [(queue, count) for queue in queues or ("echo",)]
        return self.run((by or self.worker).claim(wants, limits)).claims

    def claim_one(self, queue: str = "echo", by: Consumer | None = None) -> Claim:
        (claim,) = self.claim(queue, count=1, by=by)
        return claim

    def finish(self, claim: Claim, completion: Completion | None = None, by: Consumer | None = None) -> bool:
        return self.run((by or self.worker).finish(claim, completion or success()))

    def retry_later(self, claim: Claim, later: Postponement | None = None) -> bool:
        return self.run(self.worker.retry_later(claim, later or postponement()))

    def hand_back_all(self, worker: str = "w1") -> int:
        return hand_back_all(self.redis, worker)

    def cancel(self, call_id: str) -> str:
        return self.run(self.submissions.cancel(call_id))

    def promote(self) -> None:
        self.run(self.worker.promote())

    def promoted(self, queue: str = "echo") -> list[str]:
        """What waits in a queue once all that is due has been put there."""
        self.promote()
        return list(self.queue(queue).job_ids)

    def reap(self) -> int:
        return self.run(self.consumer("reaper").reap())

    def tidy(self) -> None:
        self.run(self.worker.tidy())

    def lapse(self) -> None:
        """Makes every lease a past one."""
        for entry in self.redis.zrange("swarmfn:leases", 0, -1):
            assert isinstance(entry, bytes)
            self.redis.zadd("swarmfn:leases", {entry: 1})

    def final(self, call_id: str, timeout: float = 60.0) -> Record:
        """The record of a call once it is final."""

        def look() -> Record | None:
            record = self.record(call_id)
            return record if record.is_final else None

        return wait_until(look, timeout, f"{call_id} is final")

    def told(self, call_id: str, state: str, timeout: float = 60.0) -> Record:
        """The record of a call once its callback's state begins with `state`."""
        wait_until(
            lambda: self.record(call_id).callback_state.startswith(state), timeout, f"{call_id}'s callback is {state}"
        )
        return self.record(call_id)

    def record(self, call_id: str) -> Record:
        record = self.run(self.submissions.record(call_id))
        assert record is not None, f"there is no record of {call_id}"
        return record

    def answer(self, call_id: str) -> bytes:
        record, body = self.record(call_id), b""
        while piece := self.run(self.submissions.answer_piece(record, len(body))):
            body += piece.data
            if len(body) >= piece.size:
                break
        return body

    def job(self, call_id: str) -> Job:
        """As RQ sees it."""
        return Job.fetch(call_id, connection=self.redis)

    def queue(self, name: str = "echo") -> Queue:
        return Queue(name, connection=self.redis)

    def counts(self, name: str = "echo") -> dict[str, int]:
        """What RQ counts, without the zeros. RQ's own cleanups run with it, as in `rq info`."""
        queue = self.queue(name)
        counts = {
            "queued": queue.count,
            "started": queue.started_job_registry.count,
            "finished": queue.finished_job_registry.count,
            "failed": queue.failed_job_registry.count,
            "deferred": queue.deferred_job_registry.count,
            "scheduled": queue.scheduled_job_registry.count,
            "canceled": queue.canceled_job_registry.count,
        }
        return {name: count for name, count in counts.items() if count}

    def nothing_claimed(self) -> bool:
        """No lease, claim or started entry is left."""
        return not [*self.redis.scan_iter("swarmfn:claims:*"), *self.redis.scan_iter("swarmfn:leases")] and not [
            *self.redis.scan_iter("rq:wip:*")
        ]

    def keys(self, pattern: str) -> set[str]:
        return {key.decode() for key in self.redis.scan_iter(pattern)}

    def __enter__(self) -> QueueStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.connections.aclose())
        self._runner.close()
        self.redis.close()
