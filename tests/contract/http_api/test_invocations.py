"""/system/invocations: looking at calls, running failed ones again, taking them away."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success
from tests.support.redis_server import RedisServer

BASE = "/system/invocations"
SECRETS = [("Authorization", "Bearer s3cret"), ("cookie", "s=s3cret"), ("X-Own", "shown")]


@pytest.fixture
def queue(redis_server: RedisServer, gateway: GatewayProcess) -> Iterator[QueueStage]:
    """The queue that the gateway uses, empty. At the end its books must balance."""
    with QueueStage(redis_server) as stage:
        yield stage
        stage.ledger.assert_balanced()


def fail(queue: QueueStage, *call_ids: str, function: str = "echo", **changes: Any) -> None:
    for call_id in call_ids:
        queue.submit(invocation(call_id, function, queue=function, **changes), b"the body s3cret")
        counter = f"failed:{function}:{function}"
        queue.finish(queue.claim_one(function), failure(b"answer s3cret", counter=counter))


def undelivered(queue: QueueStage, call_id: str) -> str:
    """A call that succeeded and whose callback has failed for good; returns the delivery's id."""
    queue.submit(call_id)
    queue.finish(queue.claim_one(), success(b"out", delivery=delivery(f"cb_{call_id}", call_id), delivery_body=b"out"))
    completion = failure(counter="undelivered:echo", parent=call_id, parent_note="failed, the receiver answered 500")
    queue.finish(queue.claim_one(CALLBACKS), completion)
    return f"cb_{call_id}"


def listed(gateway: GatewayProcess, **query: Any) -> list[str]:
    """The ids on all pages."""
    ids: list[str] = []
    while True:
        response = gateway.get(BASE, params=query)
        assert response.status_code == 200, response.text
        page = response.json()
        ids += [call["callId"] for call in page["invocations"]]
        if "next" not in page:
            return ids
        query["cursor"] = page["next"]


def post(gateway: GatewayProcess, what: str, document: dict[str, Any]) -> dict[str, Any]:
    response = gateway.post(f"{BASE}/{what}", json=document)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_an_empty_queue_has_an_empty_list(gateway: GatewayProcess, queue: QueueStage) -> None:
    assert gateway.get(BASE).json() == {"invocations": []}


def test_failed_calls_are_listed_the_newest_first(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", "b")
    fail(queue, "c", function="other")
    (newest, *older) = gateway.get(BASE).json()["invocations"]
    assert (newest["callId"], newest["function"], newest["queue"]) == ("c", "other", "other")
    assert (newest["state"], newest["attempts"], newest["lastStatus"]) == ("failed", 1, 500)
    assert newest["endedAt"] >= newest["createdAt"]
    assert [call["callId"] for call in older] == ["b", "a"]
    assert listed(gateway, function="echo") == ["b", "a"]
    assert listed(gateway, function="other.openfaas-fn") == ["c"]
    assert listed(gateway, function="unknown") == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_hold_each_call_once(gateway: GatewayProcess, queue: QueueStage, limit: int) -> None:
    names = [f"call-{number:03}" for number in range(40)]
    for name in names:
        queue.submit(name)
    # All of one batch end at the same microsecond.
    claims = queue.claim(count=40)

    async def finish_all() -> None:
        for future in [queue.worker.finish(claim, failure()) for claim in claims]:
            await future

    queue.run(finish_all())
    at = {name: 1000.0 + number // 20 for number, name in enumerate(names)}
    queue.redis.zadd("swarmfn:letters:failed:echo:echo", at)
    assert listed(gateway, limit=limit) == sorted(names, key=lambda name: (at[name], name), reverse=True)


def test_a_time_range_is_exact(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", "b", "c")
    queue.redis.zadd("swarmfn:letters:failed:echo:echo", {"a": 1000, "b": 2000, "c": time.time() - 60})
    assert listed(gateway, since=1000, until=2000) == ["b", "a"]
    assert listed(gateway, since="1970-01-01T00:16:41Z", until="1970-01-01T01:33:20+01:00") == ["b"]
    assert listed(gateway, since="1970-01-01 00:16:41Z", until="1970-01-01T01:33:20 01:00") == ["b"]
    assert listed(gateway, age="1h") == ["c"]
    assert listed(gateway, age="30s") == []


def test_each_state_lists_its_own(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "failed")
    for call_id in ("done", "again", "runs", "gone", "waits-1", "waits-2"):
        queue.submit(call_id)
    queue.finish(queue.claim_one())
    queue.retry_later(queue.claim_one(), postponement(delay=60))
    queue.claim_one()
    queue.cancel("gone")
    found = {
        state: listed(gateway, state=state) for state in ("failed", "succeeded", "retrying", "running", "cancelled")
    }
    assert found == {
        "failed": ["failed"],
        "succeeded": ["done"],
        "retrying": ["again"],
        "running": ["runs"],
        "cancelled": ["gone"],
    }
    assert listed(gateway, state="queued", limit=1) == ["waits-1", "waits-2"]
    assert listed(gateway, state="scheduled") == []
    assert listed(gateway, state="queued", function="other") == []


def test_nothing_secret_is_shown(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", headers=SECRETS, callback_url="http://receiver/?token=s3cret", path="/p", query="q=1")
    undelivered(queue, "b")
    for path in (BASE, f"{BASE}?state=undelivered", f"{BASE}/cb_b"):
        assert "s3cret" not in gateway.get(path).text
    shown = gateway.get(f"{BASE}/a").json()
    # The operator sees where a callback goes, whatever of it is secret.
    assert shown.pop("callback")["url"] == "http://receiver/?token=s3cret"
    assert "s3cret" not in str(shown)
    request = shown["request"]
    assert (request["method"], request["path"], request["query"]) == ("POST", "/p", "q=1")
    assert request["headers"] == [["Authorization", "(not shown)"], ["cookie", "(not shown)"], ["X-Own", "shown"]]
    assert request["bodySize"] == len(b"the body s3cret")


def test_one_call_is_shown_with_its_attempts(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a")
    shown = gateway.get(f"{BASE}/a").json()
    assert (shown["state"], shown["response"]["status"], len(shown["attempts"])) == ("failed", 500, 1)
    assert gateway.get(f"{BASE}/unknown").status_code == 404
    assert gateway.get(f"{BASE}/{'x' * 65}").status_code == 404


def test_one_call_is_run_again_once(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a")
    assert post(gateway, "redrive", {"id": "a"}) == {"redriven": 1, "results": {"a": "redriven"}}
    assert post(gateway, "redrive", {"id": "a"}) == {"redriven": 0, "results": {"a": "pending"}}
    assert (listed(gateway), listed(gateway, state="queued")) == ([], ["a"])
    claim = queue.claim_one()
    assert (claim.inline_body, claim.next_attempt) == (b"the body s3cret", 1)
    queue.finish(claim)
    assert post(gateway, "redrive", {"ids": ["a", "none"]})["results"] == {"a": "ended", "none": "unknown"}


def test_a_function_a_time_or_everything_is_run_again(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, *[f"a{number}" for number in range(5)])
    fail(queue, "b", "c", function="other")
    queue.redis.zadd("swarmfn:letters:failed:echo:echo", {"a0": 1000, "a1": 2000})
    done = {"skipped": {}, "complete": True}
    assert post(gateway, "redrive", {"until": 1500}) == {"redriven": 1, **done}
    assert post(gateway, "redrive", {"function": "echo", "until": "1970-01-01T00:40:00Z"}) == {"redriven": 1, **done}
    assert post(gateway, "redrive", {"function": "other"}) == {"redriven": 2, **done}
    assert post(gateway, "redrive", {"all": True}) == {"redriven": 3, **done}
    assert post(gateway, "redrive", {"all": True}) == {"redriven": 0, **done}
    assert queue.ledger.total("redriven") == 7


def test_thousands_are_run_again_in_steps(gateway: GatewayProcess, queue: QueueStage) -> None:
    names = [f"call-{number}" for number in range(1500)]

    async def all_fail() -> None:
        for name in names:
            assert await queue.submissions.submit(invocation(name), b"")
        while claims := (await queue.worker.claim([("echo", 64)])).claims:
            for claim in claims:
                await queue.worker.finish(claim, failure())

    queue.run(all_fail())
    assert post(gateway, "redrive", {"all": True})["redriven"] == len(names)
    assert queue.counts() == {"queued": len(names)}
    assert len(listed(gateway, state="queued", limit=400)) == len(names)


def test_what_cannot_be_run_again_is_counted_as_skipped(gateway: GatewayProcess, queue: QueueStage) -> None:
    queue.submit("a", b"L" * 100_000)
    queue.finish(queue.claim_one(), failure())
    queue.redis.delete("swarmfn:body:a")
    assert post(gateway, "redrive", {"all": True}) == {"redriven": 0, "skipped": {"bodyless": 1}, "complete": True}
    assert listed(gateway) == ["a"]


def test_a_failed_callback_is_visible_and_is_sent_again_alone(gateway: GatewayProcess, queue: QueueStage) -> None:
    delivery_id = undelivered(queue, "a")
    (shown,) = gateway.get(BASE, params={"state": "undelivered", "function": "echo"}).json()["invocations"]
    assert (shown["callId"], shown["reports"], shown["receiver"]) == (delivery_id, "a", "http://receiver/")
    assert (shown["state"], shown["function"]) == ("undelivered", "echo")
    assert listed(gateway) == []
    assert post(gateway, "redrive", {"state": "undelivered", "all": True})["redriven"] == 1
    assert queue.claim() == []
    assert queue.claim_one(CALLBACKS).inline_body == b"out"
    assert gateway.get(f"{BASE}/{delivery_id}").json()["state"] == "running"


def test_an_expired_call_is_listed_as_such_and_run_again(gateway: GatewayProcess, queue: QueueStage) -> None:
    queue.submit("late", b"the body")
    queue.finish(queue.claim_one(), failure(state="expired", counter="expired:echo:echo", response=None))
    assert (listed(gateway, state="expired", age="1h"), listed(gateway)) == (["late"], [])
    assert post(gateway, "redrive", {"all": True})["redriven"] == 0
    assert post(gateway, "redrive", {"state": "expired", "function": "echo"})["redriven"] == 1
    assert queue.claim_one().inline_body == b"the body"


def test_purged_calls_leave_no_record(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", "b", "c")
    fail(queue, "d", function="other")
    queue.submit("waits")
    assert post(gateway, "purge", {"ids": ["a", "waits", "none"]}) == {
        "purged": 2,
        "results": {"a": "purged", "waits": "purged", "none": "unknown"},
    }
    assert gateway.request("DELETE", f"{BASE}/purge?function=other").json()["purged"] == 1
    assert gateway.request("DELETE", f"{BASE}/purge", json={"all": True}).json()["purged"] == 2
    assert queue.keys("rq:job:*") == set()
    assert gateway.get(f"{BASE}/a").status_code == 404
    assert (queue.ledger.total("purged"), queue.ledger.total("forgotten")) == (1, 4)


@pytest.mark.parametrize("state", ["queued", "retrying", "succeeded", "cancelled"])
def test_any_state_but_running_can_be_purged_whole(gateway: GatewayProcess, queue: QueueStage, state: str) -> None:
    for number in range(450):
        queue.submit(f"call-{number}")
    queue.submit(invocation("other", "other", queue="echo"))
    claims = [] if state in ("queued", "cancelled") else [claim for _ in range(5) for claim in queue.claim(count=90)]
    for claim in claims:
        queue.finish(claim) if state == "succeeded" else queue.retry_later(claim, postponement(delay=60))
    if state == "cancelled":
        for number in range(450):
            queue.cancel(f"call-{number}")
    assert post(gateway, "purge", {"state": state, "function": "echo"})["purged"] == 450
    assert queue.keys("rq:job:*") == {"rq:job:other"}


def test_what_runs_is_not_purged(gateway: GatewayProcess, queue: QueueStage) -> None:
    queue.submit("a")
    queue.claim_one()
    assert post(gateway, "purge", {"id": "a"})["results"] == {"a": "running"}
    assert gateway.post(f"{BASE}/purge", json={"state": "running", "all": True}).status_code == 400


def test_the_dashboards_requeue_counts_at_once(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", "b")
    assert gateway.post("/ui/rq/job/a/requeue").status_code == 200
    assert gateway.post("/ui/rq/requeue/echo").json()["count"] == 1
    assert queue.ledger.total("redriven") == 2
    assert listed(gateway) == []


def test_a_call_that_rq_itself_requeued_leaves_the_list(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a")
    queue.job("a").requeue()
    assert listed(gateway) == []
    assert post(gateway, "redrive", {"all": True})["redriven"] == 0
    assert queue.claim_one().next_attempt == 1


def encoded(cursor: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()


BAD_QUERIES = {
    "state=odd": "state",
    "limit=0": "limit",
    "limit=1001": "limit",
    "limit=many": "limit",
    "cursor=AAAA": "cursor",
    "cursor=%00": "cursor",
    f"cursor={encoded(['', 10**400, ''])}": "cursor",
    f"state=queued&cursor={encoded(['', 'inf', ''])}": "cursor",
    f"state=failed&cursor={encoded(['rq:queue:echo', 1, ''])}": "cursor",
    "since=yesterday": "since",
    "since=2026-01-01T00:00:00": "since",
    "since=nan": "since",
    "since=-1": "since",
    "age=soon": "age",
    "age=1h&since=5": "age",
    "state=queued&age=1h": "age",
    "function=../etc": "function",
    "function=": "function",
    "funtion=echo": "funtion",
    "state=failed&state=expired": "state",
}


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_bad_query_is_refused_by_the_fields_name(gateway: GatewayProcess, queue: QueueStage, query: str) -> None:
    response = gateway.get(f"{BASE}?{query}")
    assert response.status_code == 400
    assert response.text.startswith((f"{BAD_QUERIES[query]}:", f"{BAD_QUERIES[query]} "))


BAD_BODIES: list[Any] = [
    {},
    {"state": "failed"},
    {"all": False},
    {"all": "yes"},
    {"id": ""},
    {"id": "a b"},
    {"id": 5},
    {"ids": []},
    {"ids": ["a", None]},
    {"ids": [str(number) for number in range(10_001)]},
    {"id": "a", "function": "echo"},
    {"functions": "echo"},
    {"state": "succeeded", "all": True},
    {"state": ["failed"], "all": True},
    {"function": 7},
    {"since": True},
    {"until": {}},
    ["a"],
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: json.dumps(body)[:40])
def test_a_bad_redrive_is_refused_and_does_nothing(gateway: GatewayProcess, queue: QueueStage, body: Any) -> None:
    fail(queue, "a")
    response = gateway.post(f"{BASE}/redrive", json=body)
    assert response.status_code == 400, response.text
    assert listed(gateway) == ["a"]


def test_a_purge_that_says_nothing_purges_nothing(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a")
    assert gateway.request("DELETE", f"{BASE}/purge").status_code == 400
    assert gateway.request("DELETE", f"{BASE}/purge?all=true", json={"all": True}).status_code == 400
    assert listed(gateway) == ["a"]


def test_credentials_are_asked_for(gateway: GatewayProcess, queue: QueueStage) -> None:
    for method, path in (("GET", ""), ("GET", "/a"), ("POST", "/redrive"), ("POST", "/purge"), ("DELETE", "/purge")):
        assert gateway.request(method, BASE + path, auth=None).status_code == 401


def test_records_that_do_not_parse_hide_no_others(gateway: GatewayProcess, queue: QueueStage) -> None:
    fail(queue, "a", "odd", "b")
    queue.redis.hset("rq:job:odd", "call", b"\xff{")
    queue.redis.set("swarmfn:letters:failed:x:x", "no set")
    queue.redis.sadd("swarmfn:letters", "failed:x:x", b"\xff")
    assert listed(gateway) == ["b", "a"]
    assert gateway.get(f"{BASE}/odd").status_code == 404
    queue.redis.delete("swarmfn:letters:failed:x:x")
