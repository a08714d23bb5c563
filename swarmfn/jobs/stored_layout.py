"""Whether this program reads what others have stored."""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import ResponseError

from swarmfn.jobs import keys
from swarmfn.wire.invocations import VERSION, require_known_layout


def require_readable(client: redis.Redis) -> None:
    """Raises NewerLayout when a newer version has written here; else notes this one's layout, for older programs.

    Raises the client's errors. A Redis that takes no writes right now can still be read.
    """
    untyped: Any = client
    found = _number(untyped.get(keys.VERSION))
    require_known_layout(found)
    if found < VERSION:
        try:
            untyped.set(keys.VERSION, VERSION)
        except ResponseError:  # its memory is full, or it is a replica: noted next time
            return


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() and len(text) < 10 else 0
