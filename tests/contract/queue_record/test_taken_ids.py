"""An id is one call's, whatever happens to replies."""

from __future__ import annotations

import asyncio

import pytest

from swarmfn.jobs.terms import Full, Replay
from swarmfn.wire.errors import QueueUnavailable
from tests.support.queue_stage import QueueStage, invocation

LARGE = b"L" * 100_000


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_the_very_same_call_is_stored_once_however_often_it_is_sent(stage: QueueStage, body: bytes) -> None:
    call = invocation("a")
    assert stage.submit(call, body)
    assert stage.submit(call, body)
    assert stage.counts() == {"queued": 1}
    claim = stage.claim_one()
    assert stage.submit(call, body)  # its first reply may arrive that late
    assert stage.run(stage.worker.body(claim)) == body
    assert stage.ledger.total("accepted") == 1
    assert stage.keys("swarmfn:upload:*") == set()


@pytest.mark.parametrize("body", [b"other", LARGE[::-1]])
def test_another_call_with_a_taken_id_is_refused_and_changes_nothing(stage: QueueStage, body: bytes) -> None:
    first = invocation("a", start_time=1)
    stage.submit(first, LARGE)
    assert not stage.submit(invocation("a", start_time=2), body)
    claim = stage.claim_one()
    assert claim.work == first
    assert stage.run(stage.worker.body(claim)) == LARGE
    assert not stage.submit(invocation("a", start_time=3), body)
    stage.finish(claim)
    assert not stage.submit(invocation("a", start_time=4), body)
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.keys("swarmfn:body:*") == set()


def test_a_taken_id_does_not_disturb_the_rest_of_its_batch(stage: QueueStage) -> None:
    stage.submit(invocation("b", start_time=1))
    stage.redis.set("rq:job:c", "not a hash")
    calls = [invocation(call_id, start_time=2) for call_id in ("a", "b", "c", "d")]

    async def submit_all() -> list[bool | Replay | Full]:
        return list(await asyncio.gather(*(stage.submissions.submit(call, b"") for call in calls)))

    assert stage.run(submit_all()) == [True, False, False, True]
    assert stage.queue().job_ids == ["b", "a", "d"]


def test_a_call_that_redis_cannot_store_is_refused_and_the_others_are_not(stage: QueueStage) -> None:
    stage.redis.set("rq:queue:broken", "not a list")

    async def submit_all() -> list[bool | Replay | Full | BaseException]:
        calls = [invocation("a"), invocation("b", queue="broken"), invocation("c")]
        submitting = (stage.submissions.submit(call, b"") for call in calls)
        return list(await asyncio.gather(*submitting, return_exceptions=True))

    first, second, third = stage.run(submit_all())
    assert (first, third) == (True, True)
    assert isinstance(second, QueueUnavailable)
    assert not stage.redis.exists("rq:job:b")
