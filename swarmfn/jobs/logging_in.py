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

from swarmfn.wire.secret_files import PREVIOUS, REDIS_PASSWORD, SecretFile


class Passwords(Protocol):
    """What may open Redis, the likeliest first; empty where it needs none. Asked for each new connection."""

    def candidates(self) -> Sequence[str]: ...


class MountedPasswords:
    """Those in the secret files of a folder. The previous one is tried where the new one is refused: while both are
    there nobody knows which of them Redis has by now."""

    def __init__(self, directory: str | Path) -> None:
        self._now = SecretFile(directory, REDIS_PASSWORD)
        self._before = SecretFile(directory, REDIS_PASSWORD + PREVIOUS)

    def candidates(self) -> Sequence[str]:
        found = [password for password in (self._now.value(), self._before.value()) if password]
        # Once more: Redis may have been given the new one between two attempts.
        return [*found, found[0]] if len(found) > 1 else found


class _LogsIn(AbstractConnection):
    def __init__(self, *words: Any, passwords: Passwords | None = None, shown_as: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self._passwords = passwords
        self._shown_as = shown_as

    def on_connect_check_health(self, *words: Any, **options: Any) -> None:
        super().on_connect_check_health(*words, **options)
        if self._shown_as:
            untyped: Any = self
            untyped.send_command("CLIENT", "SETNAME", self._shown_as, check_health=False)
            with contextlib.suppress(ResponseError):
                untyped.read_response()

    def _candidates(self) -> Sequence[str | None]:
        return (self._passwords and self._passwords.candidates()) or [self.password]

    def connect_check_health(self, *words: Any, **options: Any) -> Any:
        *others, last = self._candidates()
        for self.password in others:
            try:
                return super().connect_check_health(*words, **options)
            except AuthenticationError:
                continue
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
        self._passwords = passwords
        self._shown_as = shown_as

    async def on_connect_check_health(self, *words: Any, **options: Any) -> None:
        await super().on_connect_check_health(*words, **options)
        if self._shown_as:
            await self.send_command("CLIENT", "SETNAME", self._shown_as, check_health=False)
            with contextlib.suppress(ResponseError):
                await self.read_response()

    def _candidates(self) -> Sequence[str | None]:
        return (self._passwords and self._passwords.candidates()) or [self.password]

    async def connect_check_health(self, *words: Any, **options: Any) -> None:
        *others, last = self._candidates()
        for self.password in others:
            try:
                await super().connect_check_health(*words, **options)
            except AuthenticationError:
                continue
            return
        self.password = last
        await super().connect_check_health(*words, **options)
