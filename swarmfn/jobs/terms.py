"""On which terms a call is stored, where they are not the plain ones."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from swarmfn.jobs.layout import rq_time

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One use of a client's key. name: the end of the Redis key it is remembered under; fingerprint: of the request it
    came with, without spaces; window: seconds it is remembered."""

    name: str
    fingerprint: str
    window: float


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """queue: without its priorities; max_depth: how many calls may wait or be put off, 0 for any number; max_age: for
    how many seconds the first may have waited, 0 for any time."""

    queue: str
    max_depth: int = 0
    max_age: float = 0.0

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"queue": self.queue}
        if self.max_depth:
            document["depth"] = self.max_depth
        if self.max_age:
            document["oldest"] = rq_time(time.time() - self.max_age)
        return document


@dataclass(frozen=True, slots=True)
class Full:
    """A queue has passed its limits. by_age: by the waiting time of its first call; depth: how many wait or are put
    off; age: seconds the first one has waited; by_put_off: it is all queues together that have put off too many, and
    depth is their number."""

    by_age: bool
    depth: int
    age: float
    by_put_off: bool = False


def full_of(limit: bytes, depth: int, since: bytes) -> Full:
    """What SUBMIT says of a full queue."""
    try:
        age = time.time() - datetime.fromisoformat(since.decode()).timestamp()
    except ValueError:
        age = 0.0
    return Full(limit == b"age", depth, max(0.0, age), limit == b"put_off")


@dataclass(frozen=True, slots=True)
class Terms:
    """idempotency: a key under which the call is stored once only; delay: seconds before it may run, by Redis's clock;
    run_at: not before this moment, Unix seconds. One that has passed means at once; max_age: seconds after which it is
    not to run any more, counted from when it may; limits: of its queue; max_put_off: how many calls may be put off in
    all queues before one more is, 0 for any number;
    is_probe: it is not to be stored, but only asked whether it would be."""

    idempotency: IdempotencyKey | None = None
    delay: float = 0.0
    run_at: float = 0.0
    max_age: float = 0.0
    limits: QueueLimits | None = None
    max_put_off: int = 0
    is_probe: bool = False

    def to_json(self) -> bytes:
        """SUBMIT's value; empty for the plain terms."""
        document: dict[str, Any] = {} if self.limits is None else self.limits.to_json()
        if self.idempotency is not None:
            document["key"] = self.idempotency.name
            document["print"] = self.idempotency.fingerprint
            document["window"] = max(1, round(self.idempotency.window * 1000))
        if self.delay:
            document["delay"] = f"{self.delay:.6f}"
        if self.run_at:
            document["at"] = f"{self.run_at:.6f}"
        if self.max_age:
            document["max_age"] = f"{self.max_age:.6f}"
        if self.max_put_off and (self.delay or self.run_at):
            document["put_off"] = self.max_put_off
        if self.is_probe:
            document["probe"] = True
        return _encode(document).encode() if document else b""


PLAIN = Terms()


@dataclass(frozen=True, slots=True)
class Replay:
    """The idempotency key is that of a call that is stored already."""

    call_id: str


def idempotency_name(function: str, key: str) -> str:
    """What the Redis key of a client's `key` for a function ends with: short, whatever the client sends."""
    return f"{function}:{short_digest(key.encode())}"


def short_digest(*parts: bytes) -> str:
    """132 bits of a SHA-256 as 22 characters; where one part ends and the next begins makes a difference."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return _short(digest.digest())


class ShortDigest:
    """The short digest of `parts` and a last one of `size` bytes, which comes in pieces."""

    def __init__(self, parts: Sequence[bytes], size: int) -> None:
        self._digest = hashlib.sha256()
        for part in parts:
            self._digest.update(b"%d:" % len(part))
            self._digest.update(part)
        self._digest.update(b"%d:" % size)

    async def read_through(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yields the pieces again."""
        async for piece in pieces:
            await asyncio.to_thread(self._digest.update, piece)
            yield piece

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        async for _ in self.read_through(pieces):
            pass

    def text(self) -> str:
        return _short(self._digest.digest())


def _short(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode()[:22]
