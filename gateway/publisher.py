"""Publishes the replica table in Redis, for the workers."""

from __future__ import annotations

import asyncio
import logging

import redis.asyncio

from swarmfn.jobs.connection import Unreachable, command
from swarmfn.wire.replicas import REPLICAS_KEY, ReplicaTable, encode_table

logger = logging.getLogger(__name__)

_AGAIN_EVERY = 2.0
"""Seconds: a Redis that lost its data gets the table back this soon."""


class Publisher:
    """Stores each new table and announces it; stores the present one again every few seconds."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._table: ReplicaTable | None = None
        self._changed = asyncio.Event()

    def offer(self, table: ReplicaTable) -> None:
        """A new table. Call it on the event loop."""
        self._table = table
        self._changed.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        published = b""
        while True:
            try:
                async with asyncio.timeout(_AGAIN_EVERY):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self._table is None:
                continue
            document = encode_table(self._table)
            try:
                await command(self._client, "SET", REPLICAS_KEY, document)
                if document != published:
                    await command(self._client, "PUBLISH", REPLICAS_KEY, document)
                published = document
            except Unreachable as exc:
                published = b""
                logger.debug("cannot publish the replica table (%s); trying again", exc)
