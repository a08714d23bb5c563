"""Signed callbacks: a receiver that has the key can tell that one comes from here, unchanged and recently."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from swarmfn.wire.headers import CALLBACK_SIGNATURE, CALLBACK_TIMESTAMP, Headers

_ON_THREAD = 1 << 20
"""Bodies above this many bytes are signed on a thread, not to hold up the event loop."""


def signature(key: bytes, timestamp: int, body: bytes) -> str:
    """`sha256=` and the HMAC in hexadecimal of the timestamp, a point, and the body."""
    digest = hmac.new(key, b"%d." % timestamp, "sha256")
    digest.update(body)
    return f"sha256={digest.hexdigest()}"


class Signer:
    """Signs with the key that `key` gives, which is asked each time; without one, nothing."""

    def __init__(self, key: Callable[[], str | None]) -> None:
        self._key = key

    async def headers(self, body: bytes, now: float) -> Headers:
        """What to send along with `body` at the Unix time `now`: another signature for each try."""
        key = (self._key() or "").encode()
        if not key:
            return []
        timestamp = int(now)
        if len(body) > _ON_THREAD:
            signed = await asyncio.to_thread(signature, key, timestamp, body)
        else:
            signed = signature(key, timestamp, body)
        return [(CALLBACK_TIMESTAMP, str(timestamp)), (CALLBACK_SIGNATURE, signed)]
