"""Every question to a Redis that is away is answered with QueueUnavailable, which callers are told as a 503."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from swarmfn.jobs.records import Record
from swarmfn.jobs.redis_clients import Connections, connect
from swarmfn.jobs.submissions import Submissions
from swarmfn.jobs.terms import Terms
from swarmfn.jobs.uploads import Upload
from swarmfn.wire.errors import QueueUnavailable
from tests.support.processes import free_port
from tests.support.queue_stage import QueueStage, invocation

LARGE = b"L" * 100_000
RECORD = Record("a", "echo", "echo", "queued", "", "", "", (), 0, 0, "", "", "", None, has_large_answer=False)


async def read_again(upload: Upload) -> None:
    async for _ in upload.pieces():
        raise AssertionError("there is nothing")


async def append_another(upload: Upload) -> None:
    await upload.append(b"more")


def of_upload(
    step: Callable[[Upload], Coroutine[Any, Any, None]],
) -> Callable[[Submissions], Coroutine[Any, Any, None]]:
    async def steps(submissions: Submissions) -> None:
        upload = submissions.begin_upload("a")
        upload._size = 5  # as if some of it were there
        await step(upload)

    return steps


STEPS: dict[str, Callable[[Submissions], Coroutine[Any, Any, Any]]] = {
    "submit": lambda submissions: submissions.submit(invocation("a"), b"x"),
    "submit a large body": lambda submissions: submissions.submit(invocation("a"), LARGE),
    "submit a large body on terms": lambda submissions: submissions.submit(invocation("a"), LARGE, Terms(delay=1)),
    "probe": lambda submissions: submissions.probe(invocation("a"), Terms()),
    "record": lambda submissions: submissions.record("a"),
    "ended": lambda submissions: submissions.ended(["a", "b"]),
    "answer_piece": lambda submissions: submissions.answer_piece(RECORD, 0),
    "position": lambda submissions: submissions.position(RECORD),
    "due": lambda submissions: submissions.due(RECORD),
    "cancel": lambda submissions: submissions.cancel("a"),
    "begin an upload": lambda submissions: submissions.begin_upload("a").append(b"x"),
    "go on with an upload": of_upload(append_another),
    "read an upload": of_upload(read_again),
    "remove an upload": of_upload(Upload.remove),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_redis_that_is_away_is_said_to_be(name: str) -> None:
    async def step() -> None:
        connections: Connections = connect(f"127.0.0.1:{free_port()}", "")
        try:
            with pytest.raises(QueueUnavailable):
                await STEPS[name](Submissions(connections))
        finally:
            await connections.aclose()

    asyncio.run(step())


def test_an_upload_that_fails_in_between_is_dropped(stage: QueueStage) -> None:
    async def fail() -> None:
        with stage.submissions.begin_upload("a") as upload:
            await upload.append(b"some")
            assert await stage.client.exists(upload.key)
            raise ValueError("the client has left")

    async def failing() -> None:
        with pytest.raises(ValueError, match="the client has left"):
            await fail()
        for _ in range(1000):
            if not await stage.client.keys("*upload*"):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it is still there")

    stage.run(failing())


def test_an_upload_that_was_lost_in_between_is_not_taken_for_whole(stage: QueueStage) -> None:
    async def lose() -> None:
        upload = stage.submissions.begin_upload("a")
        await upload.append(b"some")
        await stage.client.delete(upload.key)
        with pytest.raises(QueueUnavailable, match="lost a part of the body"):
            await upload.append(b"more")
        again = stage.submissions.begin_upload("b")
        await again.append(b"some")
        await stage.client.delete(again.key)
        with pytest.raises(QueueUnavailable, match="lost a part of the body"):
            await read_again(again)
        await upload.remove()

    stage.run(lose())
