"""A worker as RQ's tools see it: there, busy with what, and gone."""

from __future__ import annotations

import dataclasses
import time

from rq import Worker

from swarmfn.jobs import keys
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.layout import CALLBACK_QUEUE
from tests.support.queue_stage import QueueStage, invocation
from worker.presence import Presence, forget

IDENTITY = {"hostname": "here", "version": "3", "birth": "2030-01-01T00:00:00.000000Z"}


def presence(stage: QueueStage, name: str = "w1", queues: tuple[str, ...] = (), lease: float = 12.0) -> Presence:
    return Presence(stage.client, name, IDENTITY, queues, lease)


def show(stage: QueueStage, subject: Presence, *running: Claim, succeeded: int = 0, failed: int = 0) -> None:
    stage.run(subject.show(running, succeeded, failed))


def claim(call_id: str, seconds: float) -> Claim:
    """One that has been held for this many seconds."""
    held = Claim(call_id, f"e-{call_id}", "echo", invocation(call_id), b"", 0, 0)
    return dataclasses.replace(held, claimed_at=time.time() - seconds)


def field(stage: QueueStage, name: str) -> str:
    value = stage.redis.hget(keys.worker("w1"), name)
    return value.decode() if isinstance(value, bytes) else ""


def test_rq_finds_the_worker_on_each_of_its_queues(stage: QueueStage) -> None:
    stage.submit("a")
    show(stage, presence(stage), succeeded=3, failed=1)
    (found,) = Worker.all(connection=stage.redis)
    assert (found.name, found.get_state()) == ("w1", "idle")
    assert set(found.queue_names()) == {"echo", CALLBACK_QUEUE}
    assert (found.successful_job_count, found.failed_job_count) == (3, 1)
    assert [other.name for other in Worker.all(queue=stage.queue("echo"))] == ["w1"]


def test_a_worker_of_some_queues_is_on_no_other(stage: QueueStage) -> None:
    stage.submit("a")
    show(stage, presence(stage, queues=("two", "one")))
    assert field(stage, "queues") == "one,two"
    assert Worker.all(queue=stage.queue("echo")) == []
    assert [found.name for found in Worker.all(queue=stage.queue("one"))] == ["w1"]


def test_its_state_is_busy_suspended_or_idle(stage: QueueStage) -> None:
    subject = presence(stage)
    show(stage, subject, claim("a", 0))
    assert field(stage, "state") == "busy"
    show(stage, subject)
    assert field(stage, "state") == "idle"
    stage.redis.set("rq:suspended", 1)
    show(stage, subject)
    assert field(stage, "state") == "suspended"
    show(stage, subject, claim("a", 0))
    assert field(stage, "state") == "busy"


def test_its_entry_lasts_as_long_as_its_lease_and_five_seconds_at_least(stage: QueueStage) -> None:
    for lease, ttl in ((1.0, 5), (12.3, 13)):
        show(stage, presence(stage, lease=lease))
        assert 1000 * (ttl - 1) < stage.redis.pttl(keys.worker("w1")) <= 1000 * ttl


def test_only_what_has_run_for_a_while_is_shown_and_not_too_much_of_it(stage: QueueStage) -> None:
    subject = presence(stage)
    long, short = claim("long", 5), claim("short", 0.1)
    show(stage, subject, long, short)
    assert stage.redis.smembers(keys.executions("w1")) == {long.rq_entry.encode()}
    shown = stage.redis.hgetall(f"rq:execution:{long.rq_entry}")
    assert (shown[b"job_id"], shown[b"id"], shown[b"worker_name"]) == (b"long", b"e-long", b"w1")
    assert 0 < stage.redis.ttl(f"rq:execution:{long.rq_entry}") <= 60
    assert 0 < stage.redis.ttl(keys.executions("w1")) <= 60
    show(stage, subject, *(claim(f"c{number}", 5) for number in range(50)))
    assert stage.redis.scard(keys.executions("w1")) == 20
    assert not stage.redis.exists(f"rq:execution:{long.rq_entry}")
    show(stage, subject)
    assert stage.keys("rq:execution:*") == set()
    assert not stage.redis.exists(keys.executions("w1"))


def test_a_queue_that_is_gone_is_left_and_a_new_one_is_joined(stage: QueueStage) -> None:
    subject = presence(stage)
    stage.redis.sadd("swarmfn:queues", "early")
    show(stage, subject)
    stage.redis.srem("swarmfn:queues", "early")
    stage.redis.sadd("swarmfn:queues", "late")
    show(stage, subject)
    assert not stage.redis.exists("rq:workers:early")
    assert stage.redis.smembers("rq:workers:late") == {keys.worker("w1").encode()}


def test_after_a_redis_that_lost_everything_it_is_registered_again_within_ten_beats(stage: QueueStage) -> None:
    subject = presence(stage)
    show(stage, subject)
    stage.redis.flushdb()
    show(stage, subject)
    assert [found.name for found in Worker.all(connection=stage.redis)] == ["w1"]
    for _ in range(9):
        show(stage, subject)
    assert stage.redis.smembers(f"rq:workers:{CALLBACK_QUEUE}") == {keys.worker("w1").encode()}


def test_those_whose_entries_have_expired_are_struck_off_the_lists(stage: QueueStage) -> None:
    stage.submit("a")
    show(stage, presence(stage, "dead"))
    stage.redis.delete(keys.worker("dead"))
    show(stage, presence(stage))
    for key in ("rq:workers", "rq:workers:echo", f"rq:workers:{CALLBACK_QUEUE}"):
        assert stage.redis.smembers(key) == {keys.worker("w1").encode()}, key


def test_one_that_ends_is_off_all_lists_and_its_entry_says_so_for_a_minute(stage: QueueStage) -> None:
    stage.submit("a")
    show(stage, presence(stage, "w2"))
    show(stage, presence(stage), claim("a", 5))
    forget(stage.redis, "w1")
    assert [found.name for found in Worker.all(connection=stage.redis)] == ["w2"]
    for key in ("rq:workers:echo", f"rq:workers:{CALLBACK_QUEUE}"):
        assert stage.redis.smembers(key) == {keys.worker("w2").encode()}
    assert not stage.redis.exists(keys.executions("w1"))
    assert field(stage, "death")
    assert 12 < stage.redis.ttl(keys.worker("w1")) <= 60


def test_in_a_full_redis_health_checks_still_find_it_and_the_rest_follows_when_there_is_room(stage: QueueStage) -> None:
    subject, running = presence(stage), claim("a", 5)
    show(stage, subject)
    stage.redis.config_set("maxmemory", "1mb")
    try:
        stage.redis.delete("rq:workers")
        show(stage, subject, running)
        assert [found.name for found in Worker.all(connection=stage.redis)] == ["w1"]
        assert 0 < stage.redis.ttl(keys.worker("w1")) <= 12
    finally:
        stage.redis.config_set("maxmemory", "0")
    # Of what else it wrote meanwhile nothing is certain, so all of it is written again.
    stage.redis.delete(f"rq:workers:{CALLBACK_QUEUE}")
    show(stage, subject, running)
    assert stage.redis.smembers(f"rq:workers:{CALLBACK_QUEUE}") == {keys.worker("w1").encode()}
    assert stage.redis.smembers(keys.executions("w1")) == {running.rq_entry.encode()}
