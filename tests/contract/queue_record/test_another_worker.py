"""The layout is a contract: a worker written from docs/reference/jobs.md alone, with plain redis-py, gets along."""

from __future__ import annotations

import json
import time
import uuid

import redis

from tests.support.queue_stage import QueueStage, invocation

# --- a queue-worker from here -----------------------------------------------------------------------------------------
LEASE, KEPT = 15, 3600


def claim(client: redis.Redis, queue: str) -> tuple[str, str, dict[bytes | str, bytes | str]] | None:
    """The next call, its execution and its hash; None when nothing waits or another worker was faster."""
    with client.pipeline() as pipe:
        pipe.watch(f"rq:queue:{queue}")
        first = pipe.lindex(f"rq:queue:{queue}", 0)
        if first is None or pipe.exists("rq:suspended"):
            return None
        assert isinstance(first, bytes)
        call_id, execution = first.decode(), uuid.uuid4().hex
        job = pipe.hgetall(f"rq:job:{call_id}")
        pipe.multi()
        pipe.lpop(f"rq:queue:{queue}")
        if job.get(b"status") == b"queued":
            pipe.hset(f"rq:job:{call_id}", mapping={"status": "started", "started_at": moment()})
            pipe.hset(f"rq:job:{call_id}", mapping={"worker_name": "mine", "execution": execution})
            pipe.zadd(f"rq:wip:{queue}", {f"{call_id}:{execution}": "+inf"})
            pipe.zadd("swarmfn:leases", {f"{call_id}:{execution}:{queue}": client.time()[0] + LEASE})
            pipe.sadd("swarmfn:claims:mine", f"{call_id}:{execution}:{queue}")
        try:
            pipe.execute()
        except redis.WatchError:
            return None
    return call_id, execution, job


def finish(client: redis.Redis, queue: str, call_id: str, execution: str, answer: bytes) -> bool:
    """Records a success, unless the call is no longer ours."""
    key, fn = f"rq:job:{call_id}", json.loads(client.hget(f"rq:job:{call_id}", "call") or b"{}").get("fn")
    with client.pipeline() as pipe:
        pipe.watch(key)
        held = pipe.hget(key, "execution") == execution.encode() and pipe.hget(key, "status") != b"canceled"
        pipe.multi()
        pipe.zrem(f"rq:wip:{queue}", f"{call_id}:{execution}")
        pipe.zrem("swarmfn:leases", f"{call_id}:{execution}:{queue}")
        pipe.srem("swarmfn:claims:mine", f"{call_id}:{execution}:{queue}")
        if held:
            response = json.dumps({"v": 1, "s": 200, "h": [], "n": len(answer)})
            pipe.hset(key, mapping={"status": "finished", "state": "succeeded", "ended_at": moment()})
            pipe.hset(key, mapping={"response": response, "answer": answer})
            pipe.hdel(key, "execution", "body", "large")
            pipe.expire(key, KEPT + 3600)
            pipe.zadd(f"rq:finished:{queue}", {call_id: time.time() + KEPT})
            pipe.hincrby("swarmfn:totals", f"succeeded:{fn}:{queue}", 1)
        pipe.execute()
    return held


def moment() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())


# --- to here ----------------------------------------------------------------------------------------------------------


def test_a_worker_written_from_the_reference_runs_calls(stage: QueueStage) -> None:
    stage.submit(invocation("a"), b"hello")
    taken = claim(stage.redis, "echo")
    assert taken is not None
    call_id, execution, job = taken
    assert (call_id, job[b"body"]) == ("a", b"hello")
    assert stage.counts() == {"started": 1}
    assert claim(stage.redis, "echo") is None
    assert finish(stage.redis, "echo", call_id, execution, b"olleh")
    assert stage.counts() == {"finished": 1}
    assert stage.record("a").state == "succeeded"
    assert stage.answer("a") == b"olleh"
    assert stage.nothing_claimed()


def test_ours_takes_over_from_it_and_it_is_refused_then(stage: QueueStage) -> None:
    stage.submit("a")
    taken = claim(stage.redis, "echo")
    assert taken is not None
    stage.lapse()
    assert stage.reap() == 1
    ours = stage.claim_one()
    assert not finish(stage.redis, "echo", taken[0], taken[1], b"late")
    assert stage.finish(ours)
    assert stage.counts() == {"finished": 1}


def test_both_share_a_queue(stage: QueueStage) -> None:
    for number in range(6):
        stage.submit(f"c{number}")
    for _ in range(3):
        taken = claim(stage.redis, "echo")
        assert taken is not None
        assert finish(stage.redis, "echo", taken[0], taken[1], b"")
        assert stage.finish(stage.claim_one())
    assert stage.counts() == {"finished": 6}
