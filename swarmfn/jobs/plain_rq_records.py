"""What a plain `rq worker` records of our calls beside what RQ itself does: answer, callback, totals."""

from __future__ import annotations

import time
from typing import Any

import redis

from swarmfn.jobs import keys, layout
from swarmfn.jobs.outgoing import EXPIRED, delivery_headers, delivery_queue
from swarmfn.wire.call_ids import new_delivery_id
from swarmfn.wire.headers import Headers
from swarmfn.wire.invocations import Delivery, Invocation, StoredResponse

_LARGE_ANSWER_TTL = 3600
_FAILED_BODY_TTL = 7 * 86400
_DELIVERY_JOB_TIMEOUT = 60


def begin_anew(client: redis.Redis, work: Invocation | Delivery) -> None:
    """The job was final before and has been queued again by hand."""
    job_id = work.call_id if isinstance(work, Invocation) else work.delivery_id
    kind = f"failed:{work.function}:{work.queue}" if isinstance(work, Invocation) else f"undelivered:{work.function}"
    client.zrem(keys.dead_letters(kind), job_id)
    client.hdel(keys.job(job_id), *layout.RUN_FIELDS)
    client.delete(keys.response_body(job_id))
    client.persist(keys.job(job_id))
    client.persist(keys.request_body(job_id))
    if isinstance(work, Invocation):
        client.hincrby(keys.TOTALS, f"redriven:{work.function}:{work.queue}", 1)


def keep(
    client: redis.Redis, invocation: Invocation, response: StoredResponse | None, answer: bytes, seconds: float
) -> None:
    """Stores the answer, queues the callback and counts; RQ does the rest. `response` None: never reached."""
    state = "succeeded" if response is not None and response.status < 400 else "failed"
    headers = delivery_headers(invocation, response, seconds)
    _keep(client, invocation, state, response, answer, headers)


def expire(client: redis.Redis, invocation: Invocation) -> None:
    """The same for a call that has waited too long."""
    headers = delivery_headers(invocation, StoredResponse(EXPIRED, [], 0), 0.0)
    _keep(client, invocation, "expired", None, b"", headers)


def _keep(
    client: redis.Redis,
    invocation: Invocation,
    state: str,
    response: StoredResponse | None,
    answer: bytes,
    callback_headers: Headers,
) -> None:
    fields: dict[str, Any] = {"state": state, "response": response.to_json() if response else b""}
    pipeline: Any = client.pipeline(transaction=True)
    if len(answer) > layout.INLINE_LIMIT:
        fields["large_answer"] = len(answer)
        pipeline.set(keys.response_body(invocation.call_id), answer, ex=_LARGE_ANSWER_TTL)
    elif answer:
        fields["answer"] = answer
    if invocation.callback_url:
        delivery = Delivery(
            new_delivery_id(),
            invocation.call_id,
            invocation.function,
            invocation.callback_url,
            callback_headers,
            invocation.trace,
        )
        fields["delivery"], fields["callback"] = delivery.delivery_id, "queued"
        _queue_delivery(pipeline, delivery, answer)
    pipeline.hset(keys.job(invocation.call_id), mapping=fields)
    _drop_body(pipeline, invocation.call_id, state)
    counter = f"{state}:{invocation.function}:{invocation.queue}"
    pipeline.hincrby(keys.TOTALS, counter, 1)
    if state != "succeeded":
        _keep_dead_letter(pipeline, counter, invocation.call_id)
    pipeline.execute()


def note_delivery(client: redis.Redis, delivery: Delivery, said: str) -> None:
    """Says in the call's record how its callback fared."""
    key: Any = keys.job(delivery.call_id)
    current: Any = client.hget(key, "delivery")
    if current == delivery.delivery_id.encode():
        client.hset(key, "callback", said)
    state = "succeeded" if said.startswith("delivered") else "failed"
    client.hset(keys.job(delivery.delivery_id), "state", state)
    counter = f"{'delivered' if state == 'succeeded' else 'undelivered'}:{delivery.function}"
    client.hincrby(keys.TOTALS, counter, 1)
    if state == "failed":
        _keep_dead_letter(client, counter, delivery.delivery_id)


def _keep_dead_letter(client: Any, kind: str, job_id: str) -> None:
    client.zadd(keys.dead_letters(kind), {job_id: time.time()})
    client.sadd(keys.DEAD_LETTERS, kind)


def _drop_body(pipeline: Any, call_id: str, state: str) -> None:
    if state == "succeeded":
        pipeline.hdel(keys.job(call_id), "body", "large")
        pipeline.delete(keys.request_body(call_id))
        pipeline.srem(keys.BODIES, call_id)
    else:
        pipeline.expire(keys.request_body(call_id), _FAILED_BODY_TTL)


def _queue_delivery(pipeline: Any, delivery: Delivery, body: bytes) -> None:
    now = layout.rq_time()
    queue = delivery_queue(delivery.url)
    fields = {
        "data": layout.JOB_DATA,
        "created_at": now,
        "enqueued_at": now,
        "origin": queue,
        "description": f"callback of {delivery.call_id}",
        "status": "queued",
        "timeout": _DELIVERY_JOB_TIMEOUT,
        "call": delivery.to_json(),
    }
    if len(body) > layout.INLINE_LIMIT:
        fields["large"] = len(body)
        pipeline.set(keys.request_body(delivery.delivery_id), body)
        pipeline.sadd(keys.BODIES, delivery.delivery_id)
    else:
        fields["body"] = body
    pipeline.hset(keys.job(delivery.delivery_id), mapping=fields)
    pipeline.rpush(keys.queue(queue), delivery.delivery_id)
    pipeline.sadd(keys.RQ_QUEUES, keys.queue(queue))
    pipeline.sadd(keys.QUEUES, queue)
    pipeline.publish(keys.WAKE, queue)
