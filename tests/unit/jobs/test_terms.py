"""The digest of a request that comes in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from swarmfn.jobs.terms import ShortDigest, short_digest

BODY = bytes(range(256)) * 20


@pytest.mark.parametrize("cuts", [[], [0], [1], [100, 101, 4000], [len(BODY)]])
def test_it_is_that_of_the_whole(cuts: list[int]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start, end in zip([0, *cuts], [*cuts, len(BODY)], strict=True):
            yield BODY[start:end]

    async def read() -> tuple[str, bytes]:
        digest = ShortDigest((b"/path", b"query"), len(BODY))
        read = b"".join([piece async for piece in digest.read_through(pieces())])
        return digest.text(), read

    assert asyncio.run(read()) == (short_digest(b"/path", b"query", BODY), BODY)


def test_what_is_stored_for_a_day_stays_as_it_is() -> None:
    assert short_digest(b"/path", b"query", b"body") == "EfNuU6zQ3jBtN4h359_VAf"
