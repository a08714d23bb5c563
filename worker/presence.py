"""What RQ's tools see of a worker: its entry, its queues, what it has been running for a while."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio
from redis import Redis
from redis.exceptions import OutOfMemoryError

from swarmfn.jobs import keys
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.consumer import LEASE
from swarmfn.jobs.layout import CALLBACK_QUEUE, rq_time
from swarmfn.jobs.redis_commands import call, command
from swarmfn.jobs.scripts import REGISTER

_LEAST_TTL = 5
_SHOWN_AFTER = 0.5
_SHOWN_AT_MOST = 20
_ALL_AGAIN_EVERY = 10
"""After this many beats all queues are registered again, in case Redis has lost its data."""


class Presence:
    """Keeps one worker's entry in Redis true. `identity` holds the fields of RQ's that do not change. One that says
    nothing for as long as its `lease` is gone: its entry with its claims."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        name: str,
        identity: Mapping[str, str],
        queues: Sequence[str] = (),
        lease: float = LEASE,
    ) -> None:
        self._client = client
        self._name = name
        self._identity = identity
        self._only_queues = sorted(queues)
        self._ttl = max(_LEAST_TTL, math.ceil(lease))
        self._registered: set[str] = set()
        self._times = 0
        self._shown: set[str] = set()

    async def show(self, running: Sequence[Claim], succeeded: int, failed: int) -> None:
        """Writes how the worker is now. Once a second will do."""
        names = self._only_queues or await self._queue_names()
        pipeline: Any = self._client.pipeline(transaction=False)
        fields = {
            **self._identity,
            "last_heartbeat": rq_time(),
            "queues": ",".join(names),
            "pid": os.getpid(),
            "state": "busy" if running else "suspended" if await self._is_suspended() else "idle",
            "successful_job_count": succeeded,
            "failed_job_count": failed,
        }
        pipeline.hset(keys.worker(self._name), mapping=fields)
        pipeline.expire(keys.worker(self._name), self._ttl)
        pipeline.sadd(keys.WORKERS, keys.worker(self._name))
        self._register(pipeline, set(names))
        self._show_executions(pipeline, running)
        is_time = self._times % _ALL_AGAIN_EVERY == 1
        try:
            await pipeline.execute()
        except OutOfMemoryError:
            await self._register_in_full_memory(names, fields)
        if is_time:
            await self._strike_off_the_dead(names)

    async def _strike_off_the_dead(self, names: Sequence[str]) -> None:
        """Takes those out of RQ's lists whose entries have expired: RQ's tools would go on counting them."""
        lists = [keys.WORKERS, *(keys.WORKERS_OF + name for name in names)]
        members = await command(self._client, "SUNION", *lists)
        there: Any = self._client.pipeline(transaction=False)
        for member in members:
            there.exists(member)
        gone = [member for member, is_there in zip(members, await there.execute(), strict=True) if not is_there]
        if gone:
            strike: Any = self._client.pipeline(transaction=False)
            for name in lists:
                strike.srem(name, *gone)
            await strike.execute()

    async def _register_in_full_memory(self, names: Sequence[str], fields: Mapping[str, object]) -> None:
        """What health checks look for; the rest has to wait until there is room."""
        self._times = 0
        self._shown = set()
        items = [{"field": field, "value": value} for field, value in fields.items()]
        await call(self._client, REGISTER, items, worker=self._name, ttl=self._ttl, queues=json.dumps(list(names)))

    async def _is_suspended(self) -> bool:
        return bool(await command(self._client, "EXISTS", keys.SUSPENDED))

    async def _queue_names(self) -> list[str]:
        names = await command(self._client, "SMEMBERS", keys.QUEUES)
        return sorted({CALLBACK_QUEUE, *(name.decode("utf-8", "replace") for name in names)})

    def _register(self, pipeline: Any, names: set[str]) -> None:
        self._times += 1
        for gone in self._registered - names:
            pipeline.srem(keys.WORKERS_OF + gone, keys.worker(self._name))
        known = set() if self._times % _ALL_AGAIN_EVERY == 1 else self._registered
        for name in names - known:
            pipeline.sadd(keys.WORKERS_OF + name, keys.worker(self._name))
        self._registered = names

    def _show_executions(self, pipeline: Any, running: Sequence[Claim]) -> None:
        """Only what has run for a while is shown as a current job: for short calls it would cost more than they do."""
        now = time.time()
        long = [claim for claim in running if claim.claimed_at < now - _SHOWN_AFTER][:_SHOWN_AT_MOST]
        wanted = {claim.rq_entry: claim for claim in long}
        for entry in self._shown - wanted.keys():
            pipeline.srem(keys.executions(self._name), entry)
            pipeline.delete(keys.EXECUTION + entry)
        for entry, claim in wanted.items():
            fields = {
                "id": claim.execution,
                "job_id": claim.job_id,
                "created_at": claim.claimed_at,
                "last_heartbeat": now,
                "worker_name": self._name,
            }
            pipeline.hset(keys.EXECUTION + entry, mapping=fields)
            pipeline.expire(keys.EXECUTION + entry, 60)
            pipeline.sadd(keys.executions(self._name), entry)
        if wanted:
            pipeline.expire(keys.executions(self._name), 60)
        self._shown = set(wanted)


def forget(client: Redis, name: str) -> None:
    """Takes a worker that has ended out of RQ's lists, so that `rq info` does not go on counting it."""
    untyped: Any = client
    queues = [queue.decode("utf-8", "replace") for queue in untyped.smembers(keys.QUEUES)]
    pipeline = untyped.pipeline(transaction=False)
    pipeline.srem(keys.WORKERS, keys.worker(name))
    for queue in {CALLBACK_QUEUE, *queues}:
        pipeline.srem(keys.WORKERS_OF + queue, keys.worker(name))
    pipeline.delete(keys.executions(name))
    # RQ keeps the entry of a worker that has died for another minute.
    pipeline.hset(keys.worker(name), "death", rq_time())
    pipeline.expire(keys.worker(name), 60)
    # Without room in its memory Redis does all of it but the note of the death.
    with contextlib.suppress(OutOfMemoryError):
        pipeline.execute()
