"""Bodies on their way to Redis: how many bytes may be, and how they are cut into pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.incoming import Incoming
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.invoke.uploads import PIECE, WHOLE, Beginning, Uploads, held_of
from swarmfn.jobs.uploads import Upload
from swarmfn.wire.errors import Unavailable

MIB = 1 << 20


def incoming(length: int | None, client: str = "10.0.0.1") -> Incoming:
    return Incoming("POST", "echo", "", "", [], length, client)


class NoStore:
    """Nothing gets there."""

    def begin_upload(self, call_id: str) -> Upload:
        raise AssertionError


def uploads(max_memory: int | None, plain: int = 100 * MIB, max_body: int = 10 * MIB) -> Uploads:
    return Uploads(NoStore(), QueueCapacity(None, max_memory, 0), BodyBudget(plain), max_body)


def test_half_of_the_room_for_calls_may_be_half_way_and_a_quarter_from_one_address() -> None:
    bodies = uploads(80 * MIB)
    first, second = bodies.reserve(incoming(10 * MIB)), bodies.reserve(incoming(10 * MIB))
    with pytest.raises(Unavailable, match=r"from this address .* 41943040 bytes \(half of queue_max_memory\)"):
        bodies.reserve(incoming(1 * MIB))
    second.release()
    with pytest.raises(Unavailable):
        first.grow_to(41 * MIB)
    bodies.reserve(incoming(30 * MIB, "10.0.0.2"))
    with pytest.raises(Unavailable):
        bodies.reserve(incoming(1 * MIB, "10.0.0.3"))


@pytest.mark.parametrize("max_memory", [None, 0])
def test_without_a_limit_of_redis_the_budget_for_uploads_is_one(max_memory: int | None) -> None:
    bodies = uploads(max_memory, plain=20 * MIB)
    bodies.reserve(incoming(10 * MIB))
    with pytest.raises(Unavailable, match=r"20971520 bytes \(upload_budget\)"):
        bodies.reserve(incoming(1 * MIB))


def test_one_body_of_the_largest_size_has_room_in_any_case() -> None:
    uploads(2 * MIB, max_body=10 * MIB).reserve(incoming(10 * MIB))


@pytest.mark.parametrize(("length", "held"), [(None, 0), (5, 5), (WHOLE, WHOLE), (WHOLE + 1, WHOLE), (1 << 40, WHOLE)])
def test_of_a_large_body_no_more_is_counted_than_is_in_memory(length: int | None, held: int) -> None:
    assert held_of(incoming(length)) == held


@pytest.mark.parametrize("size", [0, 1, PIECE, WHOLE, WHOLE + 1, 5 * MIB])
@pytest.mark.parametrize("gathers", [True, False])
def test_the_pieces_are_the_body(size: int, gathers: bool) -> None:
    body = (bytes(range(251)) * (size // 251 + 1))[:size]

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(100, size, 100_000):
            yield body[start : start + 100_000]

    async def cut() -> list[bytes]:
        beginning = Beginning(body[:100], chunks())
        with BodyBudget(100 * MIB).hold("10.0.0.1", 0) as held:
            whole = await beginning.gather(held) if gathers else None
        return [piece async for piece in beginning.pieces()] if whole is None else [whole]

    pieces = asyncio.run(cut())
    assert b"".join(pieces) == body
    assert len(pieces) == 1 or all(PIECE <= len(piece) <= WHOLE + 100_000 for piece in pieces[:-1])
    assert (len(pieces) > 1) == (size > WHOLE + 1 or (size > PIECE and not gathers))
