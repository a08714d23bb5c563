"""Another worker of the same name: whether there is one, and whether it lives."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from redis import Redis

from swarmfn.jobs import keys

_POLL = 0.2
_SLACK = 3.0
_FIELDS = ("hostname", "pid", "death", "last_heartbeat")


class Namesake:
    """A look at its entry in Redis. `hostname` is our own."""

    was_there = False

    def __init__(self, connection: Redis, name: str, hostname: str) -> None:
        self._connection: Any = connection
        self._name = name
        self._hostname = hostname

    async def wait_until_gone(self, lease: float) -> None:
        """Returns once there is none, or a dead one; whether there was any, `was_there` tells.

        On this machine a process that has ended is seen at once. Elsewhere one is dead that gave no sign of life for a
        lease. Raises ValueError for one that gives some.
        """
        said = None
        patience = time.monotonic() + lease + _SLACK
        while (beat := self._sign_of_life()) is not None:
            said = beat if said is None else said
            if beat != said:
                raise ValueError(f"There exists an active worker named {self._name!r} already")
            if time.monotonic() > patience:
                return
            await asyncio.sleep(_POLL)

    def _sign_of_life(self) -> str | None:
        """When it last said anything; None when it is not there, or dead for certain."""
        found = self._connection.hmget(keys.worker(self._name), _FIELDS)
        hostname, pid, death, beat = ((value or b"").decode(errors="replace") for value in found)
        if not (hostname or pid or beat):
            return None
        self.was_there = True
        if death or (hostname == self._hostname and not _runs(pid)):
            return None
        return beat


def _runs(pid: str) -> bool:
    """Whether the process is there, and another one than we are: in a container that is started again the
    ids repeat."""
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
