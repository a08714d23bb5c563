"""The worker as a citizen of RQ: it registers, beats, shows what it runs, and obeys RQ's commands.

`rq worker -w worker.rq_worker.FunctionWorker` starts it, and `rq info`, `rq suspend` and rq-dashboard see it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import Any

import redis.asyncio
import uvloop
from redis import Redis
from rq.worker import BaseWorker
from rq.worker.base import WorkerStatus

from swarmfn.jobs.claims import Claim, Claims
from swarmfn.jobs.connection import Unreachable, command, connect
from swarmfn.jobs.layout import CALLBACK_QUEUE, rq_time
from swarmfn.upstream import Upstream
from worker.attempts import Caller
from worker.decisions import Keeping
from worker.executor import Executor
from worker.replicas import Announcements
from worker.settings import Settings
from worker.slots import ByteBudget, Slots

logger = logging.getLogger(__name__)

_BEAT_EVERY = 1.0
_SHOWN_AFTER = 0.5
_SHOWN_AT_MOST = 20
_QUEUES_TOTAL = 10
"""All queues together may have this many times max_inflight calls in flight in one process."""


class FunctionWorker(BaseWorker):
    """Runs invocations; jobs of anyone else on its queues end as failed, with the reason."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown: dict[str, Claim] = {}

    def work(self, burst: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Works until SIGTERM or SIGINT; True if anything was run. Logging is the caller's to set up."""
        settings = Settings.from_environment(os.environ)
        rq: Any = super()  # RQ's methods are not all annotated
        rq.register_birth()
        rq.subscribe()
        try:
            return uvloop.run(self._work(settings, burst))
        finally:
            self._say_goodbye()

    def execute_job(self, job: Any, queue: Any) -> None:
        raise RuntimeError("this worker runs whole batches; see work()")

    async def _work(self, settings: Settings, burst: bool) -> bool:
        client = connect(settings.redis_address, settings.redis_password)
        upstream = Upstream()
        try:
            executor = self._executor(settings, client, upstream)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, executor.drain)
            beat = asyncio.create_task(self._beat(client, executor))
            try:
                await executor.run(settings.drain_timeout, burst)
            finally:
                beat.cancel()
                await asyncio.gather(beat, return_exceptions=True)
            self.successful_job_count, self.failed_job_count = executor.succeeded, executor.failed
            return bool(executor.succeeded or executor.failed)
        finally:
            await upstream.close()
            await client.aclose()

    def _executor(self, settings: Settings, client: redis.asyncio.Redis, upstream: Upstream) -> Executor:
        names = [queue.name for queue in self.queues]
        executor = Executor(
            claims=Claims(client, self.name),
            caller=Caller(upstream, settings.host_aliases, settings.max_response, settings.callback_timeout),
            announcements=Announcements(client, lambda queue: executor.note_work(queue)),
            slots=Slots(settings.max_inflight, settings.max_inflight * _QUEUES_TOTAL),
            budget=ByteBudget(settings.body_budget),
            keeping=Keeping(settings.result_ttl, settings.failure_ttl, settings.max_result, settings.callback_timeout),
            worker=self.name,
            # Without names `rq worker` says "default", which is no queue of ours: that means all.
            only_queues=() if names in ([], ["default"]) else names,
        )
        return executor

    # What RQ's tools see.

    async def _beat(self, client: redis.asyncio.Redis, executor: Executor) -> None:
        while True:
            try:
                await self._show(client, executor)
            except Unreachable as exc:
                logger.debug("no heartbeat: %s", exc)
            await asyncio.sleep(_BEAT_EVERY)

    async def _show(self, client: redis.asyncio.Redis, executor: Executor) -> None:
        running = executor.running
        queues = await self._queue_names(client)
        pipeline: Any = client.pipeline(transaction=False)
        fields: dict[str, Any] = {
            "birth": rq_time(self.birth_date.timestamp() if self.birth_date else None),
            "last_heartbeat": rq_time(),
            "queues": ",".join(queues),
            "pid": os.getpid(),
            "hostname": self.hostname or "",
            "ip_address": self.ip_address,
            "version": self.version,
            "python_version": self.python_version,
            "state": WorkerStatus.BUSY.value if running else WorkerStatus.IDLE.value,
            "successful_job_count": executor.succeeded,
            "failed_job_count": executor.failed,
        }
        pipeline.hset(self.key, mapping=fields)
        pipeline.expire(self.key, self.worker_ttl + 60)
        pipeline.sadd(self.redis_workers_keys, self.key)
        for name in queues:
            pipeline.sadd(f"rq:workers:{name}", self.key)
        self._show_executions(pipeline, running)
        await pipeline.execute()

    async def _queue_names(self, client: redis.asyncio.Redis) -> list[str]:
        known = {key.decode().removeprefix("rq:queue:") for key in await command(client, "SMEMBERS", "rq:queues")}
        return sorted(known | {CALLBACK_QUEUE} | {queue.name for queue in self.queues} - {"default"})

    def _show_executions(self, pipeline: Any, running: list[Claim]) -> None:
        """Only what has run for a while is shown as a current job: for short calls it would cost more than they do."""
        old = time.time() - _SHOWN_AFTER
        wanted = {claim.entry: claim for claim in running if claim.claimed_at < old}
        for entry in [entry for entry in self._shown if entry not in wanted]:
            del self._shown[entry]
            pipeline.srem(self.executions_key, entry)
            pipeline.delete(f"rq:execution:{entry}")
        for entry, claim in list(wanted.items())[:_SHOWN_AT_MOST]:
            self._shown[entry] = claim
            pipeline.hset(
                f"rq:execution:{entry}",
                mapping={
                    "id": claim.execution,
                    "job_id": claim.job_id,
                    "created_at": claim.claimed_at,
                    "last_heartbeat": time.time(),
                    "worker_name": self.name,
                },
            )
            pipeline.expire(f"rq:execution:{entry}", 60)
            pipeline.sadd(self.executions_key, entry)
        if self._shown:
            pipeline.expire(self.executions_key, 60)

    def _say_goodbye(self) -> None:
        rq: Any = super()
        try:
            self.connection.srem(self.redis_workers_keys, self.key)
            for key in self.connection.scan_iter("rq:workers:*", count=1000):
                self.connection.srem(key, self.key)
            rq.register_death()
        except Unreachable as exc:
            logger.warning("cannot sign off from Redis (%s); the entry expires by itself", exc)
        try:
            rq.unsubscribe()
        except Unreachable as exc:
            logger.debug("unsubscribing failed: %s", exc)


def make_worker(connection: Redis, name: str) -> FunctionWorker:
    """A worker for every queue there is."""
    return FunctionWorker([], name=name, connection=connection)
