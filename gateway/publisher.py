"""Publishes the replica table in Redis, for the workers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import redis.asyncio
from redis.exceptions import ReadOnlyError

from swarmfn.jobs.redis_commands import Unreachable, store
from swarmfn.wire.replicas import REPLICAS_KEY, TABLE_TTL, ReplicaTable, encode_table

logger = logging.getLogger(__name__)

_AGAIN_EVERY = 2.0
"""Seconds: a Redis that lost its data gets the table back this soon."""


class Publisher:
    """Stores each new table and announces it; stores the present one again every few seconds. `on_replica` is called
    when Redis has become a replica, which takes no writes."""

    def __init__(self, client: redis.asyncio.Redis, on_replica: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._on_replica = on_replica
        self._table: ReplicaTable | None = None
        self._changed = asyncio.Event()
        self._published = b""
        self._is_away = False
        self._warned: set[tuple[str, str]] = set()
        self._troubles: set[tuple[str, str]] = set()

    def offer(self, table: ReplicaTable) -> None:
        """A new table. Call it on the event loop."""
        self._warn(table)
        self._table = table
        self._changed.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_AGAIN_EVERY):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self._table is None:
                continue
            try:
                await self._publish(encode_table(self._table))
            except Unreachable as exc:
                if isinstance(exc, ReadOnlyError):
                    self._on_replica()
                self._note_outage(exc)

    def _warn(self, table: ReplicaTable) -> None:
        """One line for each annotation that cannot be used, when it is first seen and again if it comes back."""
        present = {(name, warning) for name, route in table.items() for warning in route.policy.warnings}
        for name, warning in sorted(present - self._warned):
            logger.warning("function %s: %s", name, warning, extra={"event": "bad_annotation", "function": name})
        self._warned = present
        troubles = {(name, route.problem) for name, route in table.items() if route.problem}
        for name, problem in sorted(troubles - self._troubles):
            extra = {"event": "no_healthy_replica", "function": name}
            logger.warning("function %s has no healthy replica: %s", name, problem, extra=extra)
        self._troubles = troubles

    async def _publish(self, document: bytes) -> None:
        # Also in a Redis whose memory is full: workers must go on finding the functions, or nothing would get done.
        channel = "" if document == self._published else REPLICAS_KEY
        await store(self._client, REPLICAS_KEY, document, expires=TABLE_TTL, channel=channel)
        if self._is_away:
            self._is_away = False
            logger.info("Redis answers again; asynchronous calls are accepted", extra={"event": "redis_reachable"})
        self._published = document

    def _note_outage(self, exc: BaseException) -> None:
        """One line for an outage, not one for each try or each refused call."""
        self._published = b""
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "Redis does not answer (%s); asynchronous calls are refused with 503 until it does, others go on",
                exc,
                extra={"event": "redis_unreachable"},
            )
