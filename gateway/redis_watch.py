"""Whether the queue's Redis is as it has to be: looked at when the gateway starts and every minute, and said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import redis.asyncio
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.jobs.server import SHORTCOMINGS, shortcomings

logger = logging.getLogger(__name__)

_EVERY = 60.0


class RedisWatch(Collector):
    """What is wrong with it, as last seen: in the log when it changes, as sentences, and as a metric."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._found: dict[str, str] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """While Redis is away, what was seen last stands."""
        untyped: Any = self._client
        try:
            found = shortcomings(await untyped.info())
        except Unreachable as exc:
            logger.debug("cannot look at Redis: %s", exc)
            return
        for name, sentence in found.items():
            if sentence != self._found.get(name):
                logger.warning("%s", sentence, extra={"event": "redis_shortcoming", "shortcoming": name})
        for name in self._found.keys() - found.keys():
            logger.info(
                "no longer the case: %s", self._found[name], extra={"event": "redis_mended", "shortcoming": name}
            )
        self._found = found

    def sentences(self) -> list[str]:
        """For an operator."""
        return list(self._found.values())

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("swarmfn_redis_shortcoming", "1: Redis is not set up as required.", labels=["kind"])
        for name in SHORTCOMINGS:
            family.add_metric([name], int(name in self._found))
        return [family]
