"""What a stock `rq worker` runs for one of our jobs: slow and simple, with `requests`, and the same result.

Platform failures are not retried here: RQ records the job as failed, and it can be queued again. Replica addresses
come from the table that the gateway publishes.
"""

from __future__ import annotations

import random
import time
from typing import Any

import redis
import requests
from requests.structures import CaseInsensitiveDict
from rq import get_current_job

from swarmfn.jobs import layout
from swarmfn.jobs.claims import read_work
from swarmfn.jobs.outgoing import delivery_headers, function_headers, request_target
from swarmfn.wire.call_ids import new_delivery_id
from swarmfn.wire.headers import Headers
from swarmfn.wire.invocations import Delivery, Foreign, Invocation, StoredResponse
from swarmfn.wire.replicas import REPLICAS_KEY, decode_table

DELIVERY_TIMEOUT = 30.0
"""Seconds a callback's receiver has to answer."""


class InvocationFailed(Exception):
    """The function answered with an error, or could not be reached; the message is fixed text of ours."""


def run() -> str:
    """Runs the current job's invocation or delivery once; the return value says how it went."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("this runs only inside an rq worker")
    client: redis.Redis = job.connection
    data, call, body, large = _fields(client, job.id)
    if large:
        body = client.get(layout.request_body_key(job.id)) or b""  # type: ignore[assignment]
    work = read_work(job.id, job.origin, data, call)
    if isinstance(work, Foreign):
        raise InvocationFailed(work.problem)
    if isinstance(work, Delivery):
        return _deliver(work, body)
    return _invoke(client, work, body)


def _fields(client: redis.Redis, job_id: str) -> list[bytes]:
    values: Any = client.hmget(layout.job_key(job_id), ["data", "call", "body", "large"])
    return [value or b"" for value in values]


def _invoke(client: redis.Redis, invocation: Invocation, body: bytes) -> str:
    started = time.time()
    response = _call(client, invocation, body, started)
    answer = response.content
    stored = StoredResponse(response.status_code, _pairs(response), len(answer))
    _keep(client, invocation, stored, answer, time.time() - started)
    note = f"{invocation.function} answered {response.status_code}"
    if response.status_code >= 400:
        raise InvocationFailed(note)
    return note


def _call(client: redis.Redis, invocation: Invocation, body: bytes, started: float) -> requests.Response:
    document: Any = client.get(REPLICAS_KEY)
    route = decode_table(document or b"{}").get(invocation.function)
    if route is None or not route.addresses:
        raise InvocationFailed(f"{invocation.function} has no replica")
    deadline = started + invocation.exec_timeout
    try:
        return requests.request(
            invocation.method,
            f"http://{random.choice(route.addresses)}{request_target(invocation)}",  # noqa: S311, spreads load only
            data=body,
            headers=dict(_merged(function_headers(invocation, 1, deadline))),
            timeout=(5, invocation.exec_timeout),
            allow_redirects=False,
        )
    except requests.RequestException as exc:
        raise InvocationFailed(f"{invocation.function} could not be reached ({type(exc).__name__})") from None


def _keep(client: redis.Redis, invocation: Invocation, stored: StoredResponse, answer: bytes, seconds: float) -> None:
    fields: dict[str, Any] = {"response": stored.to_json()}
    pipeline: Any = client.pipeline(transaction=True)
    if len(answer) > layout.INLINE_LIMIT:
        fields["large_answer"] = len(answer)
        pipeline.set(layout.response_body_key(invocation.call_id), answer, ex=3600)
    else:
        fields["answer"] = answer
    if invocation.callback_url:
        delivery = Delivery(
            new_delivery_id(),
            invocation.call_id,
            invocation.function,
            invocation.callback_url,
            delivery_headers(invocation, stored, seconds),
        )
        fields["delivery"], fields["callback"] = delivery.delivery_id, "queued"
        _queue_delivery(pipeline, delivery, answer)
    pipeline.hset(layout.job_key(invocation.call_id), mapping=fields)
    pipeline.execute()


def _queue_delivery(pipeline: Any, delivery: Delivery, body: bytes) -> None:
    now = layout.rq_time()
    fields = {
        "data": layout.JOB_DATA,
        "created_at": now,
        "enqueued_at": now,
        "origin": layout.CALLBACK_QUEUE,
        "description": f"callback of {delivery.call_id}",
        "status": "queued",
        "timeout": int(DELIVERY_TIMEOUT) + 30,
        "call": delivery.to_json(),
        "body": body,
    }
    pipeline.hset(layout.job_key(delivery.delivery_id), mapping=fields)
    pipeline.rpush(layout.queue_key(layout.CALLBACK_QUEUE), delivery.delivery_id)
    pipeline.sadd("rq:queues", layout.queue_key(layout.CALLBACK_QUEUE))
    pipeline.publish(layout.WAKE_CHANNEL, layout.CALLBACK_QUEUE)


def _deliver(delivery: Delivery, body: bytes) -> str:
    try:
        response = requests.post(
            delivery.url,
            data=body,
            headers=dict(_merged(delivery.headers)),
            timeout=DELIVERY_TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as exc:
        raise InvocationFailed(f"the receiver could not be reached ({type(exc).__name__})") from None
    note = f"the receiver answered {response.status_code}"
    if response.status_code >= 300:
        raise InvocationFailed(note)
    return note


def _merged(headers: Headers) -> CaseInsensitiveDict[str]:
    """`requests` takes one value a name: repeated ones are joined (RFC 9110 section 5.3)."""
    merged: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers:
        merged[name] = f"{merged[name]}, {value}" if name in merged else value
    return merged


def _pairs(response: requests.Response) -> Headers:
    # The body was decoded on the way in, so its encoding and length no longer hold.
    dropped = {"content-encoding", "content-length", "transfer-encoding", "connection"}
    return [(name, value) for name, value in response.headers.items() if name.lower() not in dropped]
