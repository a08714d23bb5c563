"""Whether RQ's workers are suspended, said where people look when nothing runs."""

from __future__ import annotations

import logging
from typing import Any

import redis

from swarmfn.jobs import keys
from swarmfn.jobs.redis_commands import Unreachable

logger = logging.getLogger(__name__)


class Suspension:
    """Asks Redis each time. `client` is for threads and should have time limits."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def sentences(self) -> list[str]:
        """For an operator: one while workers are suspended, none otherwise, nor while Redis is away."""
        try:
            milliseconds = int(self._client.pttl(keys.SUSPENDED))
        except Unreachable as exc:
            logger.debug("cannot tell whether workers are suspended: %s", exc)
            return []
        if milliseconds == -2:
            return []
        end = f", or for another {milliseconds / 1000:.0f} s" if milliseconds >= 0 else ""
        return [f"workers are suspended (rq suspend): asynchronous calls and callbacks wait until rq resume{end}"]
