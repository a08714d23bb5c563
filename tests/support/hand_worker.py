"""A worker whose steps the test takes one at a time, by the real queue's code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion, Postponement
from swarmfn.jobs.consumer import Consumer
from swarmfn.jobs.redis_clients import connect
from swarmfn.wire.invocations import Attempt, Delivery, Invocation, StoredResponse
from tests.support.redis_server import RedisServer


@dataclass(frozen=True)
class Taken:
    """One claimed call and its body."""

    claim: Claim
    call: Invocation
    body: bytes | None

    def header(self, name: str) -> str | None:
        """The one value of a stored header; a second one fails the test."""
        values = [value for key, value in self.call.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None


def take(redis: RedisServer, queue: str) -> Taken | None:
    """Claims the next call of a queue, if there is one: from now on it is running."""

    async def claim() -> Taken | None:
        async with connect(redis.address, redis.password) as client:
            consumer = Consumer(client, "by-hand")
            for job in (await consumer.claim([(queue, 1)])).claims:
                assert isinstance(job.work, Invocation), job.work
                return Taken(job, job.work, await consumer.body(job))
        return None

    return asyncio.run(claim())


def finish(redis: RedisServer, taken: Taken, response: StoredResponse | None, answer: bytes = b"") -> None:
    """Records how a call ended: as its response says, or as failed because no function could be reached."""
    state = "succeeded" if response is not None and response.status < 400 else "failed"
    attempt = Attempt(
        taken.claim.claimed_at, 0.25, response.status if response else 0, "by-hand", "" if response else "no replica"
    )
    delivery = None
    if taken.call.callback_url:
        delivery = Delivery(
            f"cb_{taken.call.call_id}", taken.call.call_id, taken.call.function, taken.call.callback_url, []
        )
    completion = Completion(
        state=state,
        counter=f"{state}:{taken.call.function}:{taken.call.queue}",
        ttl=600,
        note="by hand",
        response=response,
        answer=answer,
        attempts=(attempt,),
        delivery=delivery,
        delivery_body=answer,
        delivery_timeout=60,
    )

    async def record() -> None:
        async with connect(redis.address, redis.password) as client:
            assert await Consumer(client, "by-hand").finish(taken.claim, completion)

    asyncio.run(record())


def put_off(redis: RedisServer, taken: Taken, delay: float) -> None:
    """Records that the function answered 503 and is to be called again after `delay` seconds."""
    attempt = Attempt(taken.claim.claimed_at, 0.25, 503, "by-hand", number=taken.claim.next_attempt)

    async def record() -> None:
        async with connect(redis.address, redis.password) as client:
            assert await Consumer(client, "by-hand").retry_later(taken.claim, Postponement(delay, 0, (attempt,)))

    asyncio.run(record())
