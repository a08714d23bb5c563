"""What a plain `rq worker` runs for one of our jobs: slow and simple, with `requests`, and the same result.

Failures of the platform are not retried here: RQ records the job as failed, and it can be queued again. Replica
addresses come from the table that the gateway publishes.
"""

from __future__ import annotations

import random
import time
from typing import Any

import redis
import requests
from requests.structures import CaseInsensitiveDict
from rq import get_current_job

from swarmfn.jobs import keys, plain_rq_records
from swarmfn.jobs.claim import read_work
from swarmfn.jobs.outgoing import function_headers, offer_headers, request_target
from swarmfn.wire.headers import Headers
from swarmfn.wire.invocations import Delivery, Foreign, Invocation, Newer, StoredResponse
from swarmfn.wire.replicas import REPLICAS_KEY, decode_table
from swarmfn.wire.time_limits import is_about_over, says_killed, says_out_of_time

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
    data, call, body, large, state, expires = _fields(client, job.id)
    work = read_work(job.id, job.origin, data, call)
    if isinstance(work, Foreign | Newer):
        raise InvocationFailed(work.problem)
    if state:
        plain_rq_records.begin_anew(client, work)
    elif isinstance(work, Invocation) and expires and time.time() >= float(expires):
        plain_rq_records.expire(client, work)
        raise InvocationFailed(f"{work.function} was not called: the call had waited longer than its X-Max-Age")
    if large:
        stored: Any = client.get(keys.request_body(job.id))
        if stored is None:
            raise InvocationFailed("its body is no longer stored")
        body = stored
    return _deliver(client, work, body) if isinstance(work, Delivery) else _invoke(client, work, body)


def _fields(client: redis.Redis, job_id: str) -> list[bytes]:
    values: Any = client.hmget(keys.job(job_id), ["data", "call", "body", "large", "state", "expires"])
    return [value or b"" for value in values]


def _invoke(client: redis.Redis, invocation: Invocation, body: bytes) -> str:
    started = time.time()
    try:
        response, answer = _call(client, invocation, body, started)
    except InvocationFailed:
        plain_rq_records.keep(client, invocation, None, b"", time.time() - started)
        raise
    plain_rq_records.keep(client, invocation, response, answer, time.time() - started)
    note = f"{invocation.function} answered {response.status}"
    if response.status >= 400:
        raise InvocationFailed(note)
    return note


def _call(client: redis.Redis, invocation: Invocation, body: bytes, started: float) -> tuple[StoredResponse, bytes]:
    document: Any = client.get(REPLICAS_KEY)
    route = decode_table(document or b"{}").get(invocation.function)
    if route is None or not route.addresses:
        raise InvocationFailed(f"{invocation.function} has no replica")
    try:
        response = requests.request(
            invocation.method,
            f"http://{random.choice(route.addresses)}{request_target(invocation)}",  # noqa: S311, spreads load only
            data=body,
            headers=dict(_merged(function_headers(invocation, 1, started + invocation.exec_timeout))),
            timeout=(5, invocation.exec_timeout),
            allow_redirects=False,
        )
    except requests.ReadTimeout:
        return StoredResponse(504, [], 0), b""
    except requests.RequestException as exc:
        if not isinstance(exc, requests.ConnectTimeout) and is_about_over(
            time.time() - started, invocation.exec_timeout
        ):
            # The watchdog, which counts the same seconds, has ended the run in the middle of its answer.
            return StoredResponse(504, [], 0), b""
        raise InvocationFailed(f"{invocation.function} could not be reached ({type(exc).__name__})") from None
    if says_killed(response.status_code, response.content):
        return StoredResponse(504, [], 0), b""
    return StoredResponse(response.status_code, _pairs(response), len(response.content)), response.content


def _deliver(client: redis.Redis, delivery: Delivery, body: bytes) -> str:
    started = time.monotonic()
    try:
        response = requests.post(
            delivery.url,
            data=body,
            headers=dict(_merged(offer_headers(delivery))),
            timeout=DELIVERY_TIMEOUT,
            allow_redirects=False,
        )
    except requests.ReadTimeout:
        raise _too_slow(client, delivery) from None
    except requests.RequestException as exc:
        plain_rq_records.note_delivery(client, delivery, "failed, the receiver could not be reached")
        raise InvocationFailed(f"the receiver could not be reached ({type(exc).__name__})") from None
    if says_out_of_time(response.status_code, response.content, time.monotonic() - started, DELIVERY_TIMEOUT):
        raise _too_slow(client, delivery)
    note = f"the receiver answered {response.status_code}"
    if response.status_code >= 300:
        plain_rq_records.note_delivery(client, delivery, f"failed, {note}")
        raise InvocationFailed(note)
    plain_rq_records.note_delivery(client, delivery, f"delivered, {note}")
    return note


def _too_slow(client: redis.Redis, delivery: Delivery) -> InvocationFailed:
    note = "the receiver did not answer in time"
    plain_rq_records.note_delivery(client, delivery, f"failed, {note}")
    return InvocationFailed(note)


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
