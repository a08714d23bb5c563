"""A key is remembered in the same step that stores its call."""

from __future__ import annotations

import asyncio

import pytest

from swarmfn.jobs.terms import Full, IdempotencyKey, Replay, Terms, idempotency_name
from swarmfn.wire.errors import KeyReused
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until

LARGE = b"L" * 100_000


def key(name: str = "k", fingerprint: str = "p", window: float = 60.0, function: str = "echo") -> Terms:
    return Terms(IdempotencyKey(idempotency_name(function, name), fingerprint, window))


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_a_second_call_with_the_key_is_the_first_one(stage: QueueStage, body: bytes) -> None:
    assert stage.submit("a", body, key()) is True
    assert stage.submit("b", body, key()) == Replay("a")
    assert stage.queue().job_ids == ["a"]
    assert stage.ledger.total("accepted") == 1
    assert stage.keys("swarmfn:upload:*") == set()
    stage.finish(stage.claim_one())
    assert stage.submit("c", body, key()) == Replay("a")


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_another_request_under_the_key_is_refused_and_leaves_nothing(stage: QueueStage, body: bytes) -> None:
    stage.submit("a", b"", key())
    with pytest.raises(KeyReused):
        stage.submit("b", body, key(fingerprint="other"))
    assert stage.queue().job_ids == ["a"]
    assert stage.keys("swarmfn:upload:*") == set()


def test_other_keys_and_other_functions_are_other_calls(stage: QueueStage) -> None:
    assert stage.submit("a", b"", key()) is True
    assert stage.submit("b", b"", key("other")) is True
    assert stage.submit(invocation("c", "wordcount"), b"", key(function="wordcount")) is True


def test_of_many_in_one_batch_the_first_is_stored(stage: QueueStage) -> None:
    async def submit_all() -> list[bool | Replay | Full]:
        calls = [invocation(f"c{number}") for number in range(50)]
        return list(await asyncio.gather(*(stage.submissions.submit(call, b"", key()) for call in calls)))

    assert stage.run(submit_all()) == [True, *[Replay("c0")] * 49]
    assert stage.queue().job_ids == ["c0"]


def test_a_key_whose_call_could_not_be_stored_is_free(stage: QueueStage) -> None:
    stage.submit("a")
    assert stage.submit(invocation("a", start_time=2), b"", key()) is False
    assert stage.submit("b", b"", key()) is True


def test_after_its_window_a_key_is_forgotten(stage: QueueStage) -> None:
    assert stage.submit("a", b"", key(window=0.2)) is True
    wait_until(lambda: not stage.keys("swarmfn:idempotency:*"), message="the key has expired")
    assert stage.submit("b", b"", key(window=0.2)) is True


def test_a_key_takes_little_memory_however_long_it_is(stage: QueueStage) -> None:
    stage.submit("a" * 36, b"", key("k" * 255))
    (name,) = stage.keys("swarmfn:idempotency:*")
    used = stage.redis.memory_usage(name)
    assert used is not None
    assert used <= 256
