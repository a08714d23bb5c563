"""A large body that goes to Redis in pieces before its call does."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from swarmfn.jobs.submissions import Submissions
from swarmfn.jobs.uploads import Upload
from swarmfn.wire.errors import QueueUnavailable
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until

PIECES = [random.Random(number).randbytes(100_000) for number in range(3)]
BODY = b"".join(PIECES)


async def upload(submissions: Submissions, pieces: list[bytes] = PIECES) -> Upload:
    begun = submissions.begin_upload("a")
    for piece in pieces:
        await begun.append(piece)
    return begun


async def drop(upload: Upload) -> None:
    upload.drop()
    await everything_else()


async def everything_else() -> None:
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


def unread(port: int) -> int:
    """Bytes that wait for the listener on `port` of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if line[1].endswith(f":{port:04X}"))


def test_pieces_make_the_body_that_a_worker_gets(stage: QueueStage) -> None:
    whole = stage.run(upload(stage.submissions))
    assert len(whole) == len(BODY)
    assert 0 < stage.redis.ttl(whole.key) <= 600
    assert stage.run(stage.submissions.submit(invocation("a"), whole)) is True
    assert stage.redis.ttl("swarmfn:body:a") == -1
    assert stage.redis.smembers("swarmfn:bodies") == {b"a"}
    assert stage.keys("swarmfn:upload:*") == set()
    claim = stage.claim_one()
    assert claim.large_size == len(BODY)
    assert stage.run(stage.worker.body(claim)) == BODY


def test_an_upload_outlives_an_id_that_is_taken(stage: QueueStage) -> None:
    stage.submit(invocation("a", start_time=1), b"first")
    whole = stage.run(upload(stage.submissions))
    assert stage.run(stage.submissions.submit(invocation("a", start_time=2), whole)) is False
    assert stage.run(stage.submissions.submit(invocation("b"), whole)) is True
    bodies = {claim.job_id: stage.run(stage.worker.body(claim)) for claim in stage.claim()}
    assert bodies == {"a": b"first", "b": BODY}


def test_a_call_that_is_stored_already_keeps_its_body_and_the_upload_goes(stage: QueueStage) -> None:
    call = invocation("a")
    for pieces in (PIECES, PIECES[:2]):
        assert stage.run(stage.submissions.submit(call, stage.run(upload(stage.submissions, pieces)))) is True
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.run(stage.worker.body(stage.claim_one())) == BODY


def test_a_dropped_upload_is_gone_and_a_call_keeps_its_body(stage: QueueStage) -> None:
    unused, used = (stage.run(upload(stage.submissions)) for _ in range(2))
    stage.run(stage.submissions.submit(invocation("a"), used))
    for each in (unused, used):
        stage.run(drop(each))
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.run(stage.worker.body(stage.claim_one())) == BODY


def test_what_nobody_finishes_or_drops_expires(stage: QueueStage) -> None:
    hasty = Submissions(stage.connections, upload_ttl=1)
    whole = stage.run(upload(hasty))
    wait_until(lambda: not stage.redis.exists(whole.key), message="it has expired")
    with pytest.raises(QueueUnavailable, match="refused"):
        stage.run(hasty.submit(invocation("a"), whole))
    assert not stage.redis.exists("rq:job:a")


def test_a_piece_whose_beginning_is_gone_is_no_body_and_expires(stage: QueueStage) -> None:
    begun = stage.run(upload(stage.submissions))
    stage.redis.delete(begun.key)
    with pytest.raises(QueueUnavailable, match="lost a part"):
        stage.run(begun.append(b"the end"))
    assert 0 < stage.redis.ttl(begun.key) <= 600
    with pytest.raises(QueueUnavailable):
        stage.run(stage.submissions.submit(invocation("a"), begun))
    assert stage.counts() == {}


def test_a_full_redis_takes_no_further_piece(stage: QueueStage) -> None:
    begun = stage.run(upload(stage.submissions))
    stage.redis.config_set("maxmemory", "1mb")
    with pytest.raises(QueueUnavailable, match="no memory left"):
        stage.run(begun.append(b"the end"))
    stage.run(drop(begun))
    stage.redis.config_set("maxmemory", "0")
    assert stage.keys("swarmfn:upload:*") == set()


def test_a_large_body_whose_call_is_refused_leaves_nothing(stage: QueueStage) -> None:
    stage.redis.set("rq:queue:broken", "not a list")
    with pytest.raises(QueueUnavailable, match="refused"):
        stage.submit(invocation("a", queue="broken"), BODY)
    stage.run(everything_else())
    assert stage.keys("swarmfn:upload:*") == set()


def test_a_large_body_whose_client_leaves_leaves_nothing(stage: QueueStage) -> None:
    async def leave() -> None:
        await stage.submissions.submit(invocation("a"), BODY)  # opens a connection
        stage.server.suspend()
        try:
            leaving = asyncio.create_task(stage.submissions.submit(invocation("b"), BODY))
            async with asyncio.timeout(30):
                while unread(stage.server.port) < len(BODY):  # noqa: ASYNC110, the kernel does not tell
                    await asyncio.sleep(0.01)
            leaving.cancel()
            await asyncio.wait([leaving])
        finally:
            stage.server.resume()
        await everything_else()

    stage.run(leave())
    assert stage.keys("swarmfn:upload:*") == set()
    assert stage.keys("rq:job:*") == {"rq:job:a"}
