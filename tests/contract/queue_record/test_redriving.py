"""Running again what has failed, and taking records away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarmfn.jobs.redis_commands import call_blocking
from swarmfn.jobs.scripts import PURGE, REDRIVE
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, postponement, success
from tests.support.redis_server import text


def redrive(stage: QueueStage, *ids: str) -> list[str]:
    items = [{"id": call_id} for call_id in ids]
    replies = call_blocking(stage.redis, REDRIVE, items, moment="2026-01-01T00:00:00.000000Z")
    return [reply.decode() for reply in replies]


def purge(stage: QueueStage, *ids: str, status: str = "") -> list[str]:
    items = [{"id": call_id, "status": status} for call_id in ids]
    return [reply.decode() for reply in call_blocking(stage.redis, PURGE, items)]


def letters(stage: QueueStage) -> dict[str, list[str]]:
    """The ids of all letters by kind."""
    kinds = [text(kind) for kind in stage.redis.smembers("swarmfn:letters")]
    ids = {kind: [text(i) for i in stage.redis.zrange(f"swarmfn:letters:{kind}", 0, -1)] for kind in kinds}
    return {kind: found for kind, found in ids.items() if found}


def fail(stage: QueueStage, call_id: str, body: bytes = b"the body") -> None:
    stage.submit(call_id, body)
    stage.finish(stage.claim_one(), failure(b"no", delivery=delivery(f"cb_{call_id}", call_id)))


def test_what_failed_is_a_letter_until_it_is_redriven(stage: QueueStage) -> None:
    fail(stage, "a")
    assert letters(stage) == {"failed:echo:echo": ["a"]}
    assert redrive(stage, "a") == ["redriven"]
    assert letters(stage) == {}
    assert stage.counts() == {"queued": 1}
    record = stage.record("a")
    assert (record.state, record.attempts, record.response, record.delivery_id) == ("queued", (), None, "")
    claim = stage.claim_one()
    assert (claim.inline_body, claim.next_attempt) == (b"the body", 1)
    stage.finish(claim, success(b"yes"))
    assert stage.answer("a") == b"yes"
    assert stage.ledger.total("redriven") == 1


def test_a_large_body_outlives_the_failure(stage: QueueStage) -> None:
    fail(stage, "a", b"L" * 100_000)
    assert redrive(stage, "a") == ["redriven"]
    assert (stage.redis.ttl("swarmfn:body:a"), stage.redis.ttl("rq:job:a")) == (-1, -1)
    assert stage.run(stage.worker.body(stage.claim_one())) == b"L" * 100_000


def test_a_call_whose_body_is_gone_stays_where_it_is(stage: QueueStage) -> None:
    fail(stage, "a", b"L" * 100_000)
    stage.redis.delete("swarmfn:body:a")
    assert redrive(stage, "a") == ["bodyless"]
    assert letters(stage) == {"failed:echo:echo": ["a"]}


def test_submitting_twice_runs_it_once(stage: QueueStage) -> None:
    fail(stage, "a")
    assert redrive(stage, "a", "a") == ["redriven", "pending"]
    assert redrive(stage, "a") == ["pending"]
    claim = stage.claim_one()
    assert redrive(stage, "a") == ["pending"]
    stage.finish(claim)
    assert redrive(stage, "a") == ["ended"]
    assert stage.counts() == {"finished": 1}
    assert stage.ledger.total("redriven") == 1


def test_what_waits_was_cancelled_or_is_unknown_is_not_redriven(stage: QueueStage) -> None:
    for call_id in ("waits", "cancelled"):
        stage.submit(call_id)
    stage.cancel("cancelled")
    stage.redis.set("rq:job:odd", "no hash")
    assert redrive(stage, "waits", "cancelled", "unknown", "odd") == ["pending", "ended", "unknown", "unknown"]
    assert letters(stage) == {"cancelled:echo:echo": ["cancelled"]}


def test_one_that_cannot_be_queued_stops_no_other(stage: QueueStage) -> None:
    fail(stage, "a")
    fail(stage, "b")
    stage.redis.hset("rq:job:a", "origin", "odd")
    stage.redis.set("rq:queue:odd", "no list")
    first, second = redrive(stage, "a", "b")
    assert "WRONGTYPE" in first
    assert second == "redriven"
    assert stage.record("a").state == "failed"


def test_a_redriven_call_queued_through_rq_as_well_is_counted_once(stage: QueueStage) -> None:
    fail(stage, "a")
    stage.job("a").requeue()
    assert redrive(stage, "a") == ["pending"]
    stage.claim_one()
    assert letters(stage) == {}
    assert stage.ledger.total("redriven") == 1


def test_what_rq_failed_by_itself_was_never_counted_as_an_end(stage: QueueStage) -> None:
    stage.submit("a")
    stage.redis.lrem("rq:queue:echo", 0, "a")
    stage.redis.hset("rq:job:a", "status", "failed")
    stage.redis.zadd("rq:failed:echo", {"a": 9e9})
    assert redrive(stage, "a") == ["redriven"]
    assert stage.ledger.total("redriven") == 0
    stage.finish(stage.claim_one())


def test_a_failed_callback_is_redriven_without_its_function(stage: QueueStage) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a"), delivery_body=b"out"))
    stage.finish(stage.claim_one(CALLBACKS), failure(counter="undelivered:echo", parent="a", parent_note="failed, no"))
    assert letters(stage) == {"undelivered:echo": ["cb_1"]}
    assert redrive(stage, "cb_1", "cb_1") == ["redriven", "pending"]
    assert (letters(stage), stage.record("a").callback_state) == ({}, "queued")
    assert stage.claim() == []
    assert stage.claim_one(CALLBACKS).inline_body == b"out"
    assert (stage.ledger.total("redriven"), stage.ledger.total("redelivered")) == (0, 1)


def test_purging_leaves_nothing_of_a_call_that_has_ended(stage: QueueStage) -> None:
    stage.submit("a", b"L" * 100_000)
    stage.finish(stage.claim_one(), failure(b"x" * 100_000))
    assert purge(stage, "a") == ["purged"]
    stage.tidy()
    assert stage.keys("*a") | stage.keys("*echo*") == set()
    assert stage.counts() == {}
    assert purge(stage, "a") == ["unknown"]
    assert (stage.ledger.total("forgotten"), stage.ledger.total("purged")) == (1, 0)


@pytest.mark.parametrize("end", [lambda stage: stage.finish(stage.claim_one()), lambda stage: stage.cancel("a")])
def test_whatever_has_ended_can_be_purged(stage: QueueStage, end: Callable[[QueueStage], object]) -> None:
    stage.submit("a")
    end(stage)
    assert purge(stage, "a") == ["purged"]
    assert (stage.counts(), letters(stage), stage.keys("rq:job:*")) == ({}, {}, set())


def test_a_call_purged_before_its_end_is_counted_as_purged(stage: QueueStage) -> None:
    stage.submit("waits", b"body")
    stage.submit("later")
    waits, later = stage.claim(count=2)
    stage.retry_later(later)
    stage.run(stage.worker.hand_back([waits]))
    assert stage.counts() == {"queued": 1, "scheduled": 1}
    assert purge(stage, "waits", "later") == ["purged", "purged"]
    assert stage.counts() == {}
    assert not stage.redis.exists("swarmfn:due")
    assert (stage.ledger.total("purged"), stage.ledger.pending()) == (2, 0)


def test_what_runs_or_has_changed_is_not_purged(stage: QueueStage) -> None:
    stage.submit("runs")
    claim = stage.claim_one()
    stage.submit("waits")
    assert purge(stage, "runs") == ["running"]
    assert purge(stage, "waits", status="failed") == ["changed"]
    assert stage.finish(claim)


@pytest.mark.parametrize("end", ["finish", "reap"])
def test_what_rq_cancelled_is_not_purged_before_its_worker_knows(stage: QueueStage, end: str) -> None:
    """It would be in the books for ever as one that runs."""
    stage.submit("a")
    claim = stage.claim_one()
    stage.job("a").cancel()
    assert purge(stage, "a") == ["running"]
    if end == "finish":
        assert not stage.finish(claim)
    else:
        stage.lapse()
        stage.reap()
    assert purge(stage, "a") == ["purged"]
    assert stage.nothing_claimed()
    assert (stage.ledger.total("cancelled"), stage.ledger.pending()) == (1, 0)


def test_purging_what_was_queued_again_by_hand_keeps_the_books(stage: QueueStage) -> None:
    fail(stage, "a")
    stage.job("a").requeue()
    assert purge(stage, "a") == ["purged"]
    assert letters(stage) == {}


def test_a_purged_callback_is_told_to_its_call(stage: QueueStage) -> None:
    stage.submit("a")
    stage.finish(stage.claim_one(), success(delivery=delivery("cb_1", "a")))
    assert purge(stage, "cb_1") == ["purged"]
    assert stage.record("a").callback_state == "failed, purged"
    assert stage.ledger.total("undelivered") == 1


def test_letters_whose_record_has_expired_are_tidied_away(stage: QueueStage) -> None:
    for number in range(250):
        stage.redis.zadd("swarmfn:letters:failed:echo:echo", {f"gone-{number}": number})
    stage.redis.sadd("swarmfn:letters", "failed:echo:echo", "failed:none:none")
    fail(stage, "stays")
    stage.tidy()
    assert letters(stage) == {"failed:echo:echo": ["stays"]}
    assert stage.redis.smembers("swarmfn:letters") == {b"failed:echo:echo"}


def test_attempts_are_counted_as_they_go(stage: QueueStage) -> None:
    stage.submit("a")
    stage.retry_later(stage.claim_one(), postponement(-1, counter="retried:echo:echo"))
    stage.promote()
    stage.claim_one()
    assert [(counter.event, counter.function, counter.queue) for counter in stage.ledger.census().counters] == [
        ("accepted", "echo", "echo"),
        ("started", "echo", "echo"),
        ("retried", "echo", "echo"),
    ]
    assert (stage.ledger.total("started"), stage.ledger.total("retried")) == (2, 1)


def test_the_census_says_how_long_the_first_call_has_waited(stage: QueueStage) -> None:
    stage.submit("a")
    stage.redis.hset("rq:job:a", "enqueued_at", "2026-01-01T00:00:00.000000Z")
    stage.submit("b")
    (queue,) = stage.ledger.census().queues
    assert (queue.queue, queue.waiting, queue.put_off, queue.running) == ("echo", 2, 0, 0)
    assert queue.oldest is not None
    assert queue.oldest > 86400
    stage.redis.rpush("rq:queue:odd", "none")
    stage.redis.sadd("swarmfn:queues", "odd")
    assert [queue.oldest is None for queue in stage.ledger.census().queues] == [False, True]
    stage.redis.delete("rq:queue:odd")
