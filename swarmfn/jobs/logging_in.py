"""Connections that open Redis with whichever of its passwords it takes now: they may be changed while programs run.

`passwords` is what may open it; `shown_as` the name of a connection in Redis's list of clients, which not every user of
Redis may set: without that it has none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ResponseError

from swarmfn.wire.secret_files import PREVIOUS, REDIS_PASSWORD, SecretFile, redis_passwords


class Passwords(Protocol):
    """What may open Redis, the likeliest first; empty where it needs none. Asked for each new connection."""

    def candidates(self) -> Sequence[str]: ...


class MountedPasswords:
    """Those in the secret files of a folder."""

    def __init__(self, directory: str | Path) -> None:
        self._now = SecretFile(directory, REDIS_PASSWORD)
        self._before = SecretFile(directory, REDIS_PASSWORD + PREVIOUS)

    def candidates(self) -> Sequence[str]:
        return redis_passwords(self._now.value(), self._before.value())


class _Login:
    """How one connection logs in, whether a thread waits for it or an event loop. Their classes differ only in that."""

    def __init__(self, passwords: Passwords | None, shown_as: str) -> None:
        self._passwords = passwords
        self.naming = ("CLIENT", "SETNAME", shown_as) if shown_as else ()

    def candidates(self, own: str | None) -> Sequence[str | None]:
        """The passwords to try, `own` where there are none."""
        return (self._passwords and self._passwords.candidates()) or [own]


class _LogsIn(AbstractConnection):
    def __init__(self, *words: Any, passwords: Passwords | None = None, shown_as: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self._login = _Login(passwords, shown_as)

    def on_connect_check_health(self, *words: Any, **options: Any) -> None:
        super().on_connect_check_health(*words, **options)
        if self._login.naming:
            untyped: Any = self
            untyped.send_command(*self._login.naming, check_health=False)
            with contextlib.suppress(ResponseError):
                untyped.read_response()

    def connect_check_health(self, *words: Any, **options: Any) -> Any:
        *others, last = self._login.candidates(self.password)
        for self.password in others:
            with contextlib.suppress(AuthenticationError):
                return super().connect_check_health(*words, **options)
        self.password = last
        return super().connect_check_health(*words, **options)


class OverTcp(_LogsIn, redis.Connection):
    """Over TCP."""


class OverTls(_LogsIn, redis.SSLConnection):
    """Over TLS."""


class OverSocket(_LogsIn, redis.UnixDomainSocketConnection):
    """Over a socket in the file system."""


class AsyncLogsIn(AsyncConnection):
    """The same for an event loop, to be put before a class of connections."""

    def __init__(self, *words: Any, passwords: Passwords | None = None, shown_as: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self._login = _Login(passwords, shown_as)

    async def on_connect_check_health(self, *words: Any, **options: Any) -> None:
        await super().on_connect_check_health(*words, **options)
        if self._login.naming:
            await self.send_command(*self._login.naming, check_health=False)
            with contextlib.suppress(ResponseError):
                await self.read_response()

    async def connect_check_health(self, *words: Any, **options: Any) -> None:
        *others, last = self._login.candidates(self.password)
        for self.password in others:
            with contextlib.suppress(AuthenticationError):
                await super().connect_check_health(*words, **options)
                return
        self.password = last
        await super().connect_check_health(*words, **options)
