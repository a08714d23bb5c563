"""Putting other passwords in force while everything runs, without starting anything again.

Gateway and workers read the files in force for each login and each new connection to Redis, so they have what is new as
soon as it is there. A running Redis is told, and for the moment in between they know the previous password as well.
"""

from __future__ import annotations

from collections.abc import Callable

import redis

from stack.credentials import put_in_force, read_one, secret_in_force
from stack.state import StateDirectory
from swarmfn.private_files import write_private
from swarmfn.wire.secret_files import PREVIOUS, REDIS_PASSWORD

Connect = Callable[[str], redis.Redis]
"""A client of the stack's Redis with a password; who asked for it closes it."""


class Renewal:
    """Of one state directory. `connect` is None while no Redis of it runs."""

    def __init__(self, state: StateDirectory, connect: Connect | None) -> None:
        self._state = state
        self._connect = connect
        self._before = state.in_force / (REDIS_PASSWORD + PREVIOUS)

    def begin(self) -> list[str]:
        """Puts in force what is wanted; the names of what changed. `finish` has to follow, once a Redis that is started
        again would have the new password as well. An interrupted run is finished first."""
        self.finish()
        before = secret_in_force(self._state, REDIS_PASSWORD)
        wanted = read_one(self._state.secrets / REDIS_PASSWORD)
        if self._connect is not None and before is not None and before != wanted:
            write_private(self._before, before)
        return put_in_force(self._state)

    def finish(self) -> None:
        """Redis takes the password in force, and from then on no other. Connections that are open stay so."""
        if not self._before.exists():
            return
        now = secret_in_force(self._state, REDIS_PASSWORD)
        if self._connect is None or now is None or self._tell(now, read_one(self._before)):
            self._before.unlink()

    def _tell(self, now: str, before: str) -> bool:
        """False while Redis does not answer: it is started again with the new password, or told by the next `up`."""
        assert self._connect is not None
        for password in (now, before):
            try:
                with self._connect(password) as client:
                    client.config_set("requirepass", now)
            except redis.AuthenticationError:
                continue
            except redis.RedisError:
                return False
            return True
        return False
