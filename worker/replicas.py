"""The replica table as the gateway publishes it, followed through Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import redis.asyncio

from swarmfn.jobs import keys
from swarmfn.jobs.redis_commands import Unreachable, command
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.replicas import REPLICAS_KEY, ReplicaTable, decode_table, lost_addresses

logger = logging.getLogger(__name__)

_POLL = 1.0
_PAUSE = 0.5


class Announcements:
    """Listens on Redis for two things: the replica table's changes, and queues that have got work.

    `table` is the last table seen; it goes on serving while Redis or the gateway is away. `on_wake` is called with
    the name of a queue that has got work, `on_lost` with the addresses whose node is down. A lost message costs at
    most the poll interval, a second. `has_table` is set once there is a table, `has_looked` once Redis has been asked
    for one.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        on_wake: Callable[[str], None],
        on_lost: Callable[[frozenset[str]], None] = lambda addresses: None,
    ) -> None:
        self._client = client
        self._on_wake = on_wake
        self._on_lost = on_lost
        self.table: ReplicaTable = {}
        self.has_table = asyncio.Event()
        self.has_looked = asyncio.Event()
        self._document = b""
        self._next_read = 0.0

    async def follow(self) -> None:
        """Runs until cancelled."""
        failures = RepeatedFailures(logger, "following the announcements", "upkeep_failed")
        while True:
            try:
                await self._listen(failures.over)
            except Unreachable as exc:
                logger.debug("lost the announcements (%s); connecting again", exc)
            except Exception as exc:  # a worker that no longer hears where functions are would fail all calls
                failures.note(exc)
            await asyncio.sleep(_PAUSE)

    async def _listen(self, on_well: Callable[[], None]) -> None:
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(keys.WAKE, REPLICAS_KEY)
            self._next_read = 0.0
            while True:
                if time.monotonic() >= self._next_read:
                    self._next_read = time.monotonic() + _POLL
                    await self._read_table()
                message = await pubsub.get_message(timeout=_POLL)
                if message is not None:
                    self._hear(message["channel"], message["data"])
                on_well()
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _hear(self, channel: bytes, data: bytes) -> None:
        if channel == REPLICAS_KEY.encode():
            self._take(data)
        else:
            self._on_wake(data.decode("utf-8", "replace"))

    async def _read_table(self) -> None:
        document = await command(self._client, "GET", REPLICAS_KEY)
        if document is not None:
            self._take(document)
        self.has_looked.set()

    def _take(self, document: bytes) -> None:
        if document == self._document:
            return
        try:
            self.table = decode_table(document)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            logger.error("the replica table in Redis does not parse (%s); using the last one", exc)
            return
        self._document = document
        self.has_table.set()
        if lost := lost_addresses(self.table):
            self._on_lost(lost)
