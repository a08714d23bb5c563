"""The worker as a citizen of RQ: it registers, beats, shows what it runs, and obeys RQ's commands.

`rq worker -w worker.rq_worker.FunctionWorker` starts it, and `rq info`, `rq suspend` and rq-dashboard see it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
from typing import Any

import redis.asyncio
import uvloop
from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from rq.worker import BaseWorker

from swarmfn.exposition.listener import serve_metrics
from swarmfn.jobs.consumer import Consumer, hand_back_all
from swarmfn.jobs.layout import rq_time
from swarmfn.jobs.redis_clients import Connections, connect_like
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.memory import memory_for_us
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.stopping import on_stop
from swarmfn.upstream import Upstream
from swarmfn.wire.secret_files import SIGNING_KEY, SecretFile
from worker.attempts import FunctionCaller
from worker.budget import ByteBudget, GrowingBudget, budget_sizes
from worker.decisions import Keeping
from worker.deliveries import CallbackSender
from worker.executor import Executor
from worker.isolation import ALONE_VARIABLE, Isolation, die_first
from worker.meter import Meter
from worker.namesake import Namesake
from worker.presence import Presence, forget
from worker.receivers import Receivers
from worker.replicas import Announcements
from worker.runs import Runs
from worker.settings import Settings
from worker.signatures import Signer
from worker.slots import Slots
from worker.supervisor import NUMBER_VARIABLE
from worker.tasks import cancel_all

logger = logging.getLogger(__name__)

_BEAT_EVERY = 1.0
_LISTEN_AGAIN = 2.0
_QUEUES_TOTAL = 10
"""All queues together may have this many times max_inflight calls in flight in one process."""


class FunctionWorker(BaseWorker):
    """Runs invocations; jobs of anyone else on its queues end as failed, with the reason."""

    def work(self, burst: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Works until SIGTERM or SIGINT; True if anything was run. Logging is the caller's to set up."""
        return uvloop.run(self._work(Settings.from_environment(os.environ), burst))

    def execute_job(self, job: Any, queue: Any) -> None:
        raise RuntimeError("this worker runs whole batches; see work()")

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """RQ's listener for commands would end at a time limit, and the worker could be shut down by signals only."""
        if not isinstance(exc, Unreachable):
            raise exc
        logger.debug("not listening for RQ's commands (%s); trying again", exc)
        time.sleep(_LISTEN_AGAIN)

    async def _work(self, settings: Settings, burst: bool) -> bool:
        connections = connect_like(self.connection)
        upstream = Upstream()
        sender = CallbackSender(
            upstream,
            settings.host_aliases,
            settings.callback_timeout,
            Signer(SecretFile(settings.secret_mount_path, SIGNING_KEY).value),
            settings.callback_guard,
            settings.max_hops,
        )
        try:
            total = settings.max_inflight * _QUEUES_TOTAL
            slots = Slots(settings.max_inflight, total)
            # In a burst nobody is there any more when what was put off comes due.
            receivers = Receivers.unlimited() if burst else Receivers(settings.callback_max_inflight, total)
            meter = Meter(lambda: slots.by_kind)
            consumer = Consumer(connections, self.name, settings.lease)
            executor = self._executor(settings, consumer, connections, upstream, sender, receivers, slots, meter)
            isolation = Isolation(consumer.waiting_alone, self._bury, memory_for_us())

            def drain() -> None:
                executor.drain()
                isolation.stop()

            # Before anybody sees this worker: one that is seen can be told to stop.
            def hurry() -> None:
                logger.warning("told to stop again: not waiting for running calls", extra={"event": "hurried"})
                executor.hurry()
                isolation.stop()

            on_stop(drain, hurry)
            # What is here stays: the collector need not look at it again and again, nor after a few hundred objects.
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
            await self._take_name(settings.lease)
            self._say_hello()
            beat = asyncio.create_task(
                self._beat(self._presence(connections.vital, settings.lease), executor, connections)
            )
            try:
                if self._is_for_calls_alone:
                    die_first()
                    await executor.run_alone(settings.drain_timeout)
                else:
                    with _metrics_listener(settings, meter):
                        await _run(executor, isolation, settings.drain_timeout, burst)
            finally:
                await cancel_all([beat])
                self._say_goodbye()
            self.successful_job_count, self.failed_job_count = executor.succeeded, executor.failed
            return bool(executor.succeeded or executor.failed)
        finally:
            await sender.close()
            await upstream.close()
            await connections.aclose()

    def _executor(
        self,
        settings: Settings,
        consumer: Consumer,
        connections: Connections,
        upstream: Upstream,
        sender: CallbackSender,
        receivers: Receivers,
        slots: Slots,
        meter: Meter,
    ) -> Executor:
        announcements = Announcements(connections.vital, lambda queue: executor.note_work(queue), upstream.give_up)
        asked_for = (settings.body_budget, settings.answer_budget, settings.max_response)
        sizes = budget_sizes(memory_for_us(), settings.worker_processes, *asked_for)
        answers = GrowingBudget(sizes.answers)
        runs = Runs(
            bodies=consumer,
            functions=FunctionCaller(upstream, sizes.answer, settings.max_result, answers),
            sender=sender,
            receivers=receivers,
            table=lambda: announcements.table,
            budget=ByteBudget(sizes.bodies),
            answers=answers,
            keeping=Keeping(settings.result_ttl, settings.failure_ttl, settings.max_result, settings.callback_timeout),
            worker=self.name,
            meter=meter,
        )
        executor = Executor(
            consumer=consumer,
            runs=runs,
            announcements=announcements,
            slots=slots,
            meter=meter,
            only_queues=self._only_queues,
        )
        return executor

    async def _beat(self, presence: Presence, executor: Executor, connections: Connections) -> None:
        failures = RepeatedFailures(logger, "showing this worker to RQ", "upkeep_failed")
        while True:
            try:
                await presence.show(executor.running, executor.succeeded, executor.failed)
                failures.over()
            except Unreachable as exc:
                logger.debug("no heartbeat: %s", exc)
                if isinstance(exc, ReadOnlyError):
                    connections.begin_anew()
                    self.connection.connection_pool.disconnect(inuse_connections=False)
            except Exception as exc:  # being seen matters less than running calls
                failures.note(exc)
            await asyncio.sleep(_BEAT_EVERY)

    def _presence(self, client: redis.asyncio.Redis, lease: float) -> Presence:
        identity = {
            "birth": rq_time(self.birth_date.timestamp() if self.birth_date else None),
            "hostname": self.hostname or "",
            "ip_address": self.ip_address,
            "version": self.version,
            "python_version": self.python_version,
        }
        return Presence(client, self.name, identity, self._only_queues, lease)

    async def _bury(self, name: str) -> int:
        """Hands back what a process that died had claimed; how many calls that were."""

        def bury() -> int:
            returned = hand_back_all(self.connection, name)
            forget(self.connection, name)
            return returned

        return await asyncio.to_thread(bury)

    @property
    def _is_for_calls_alone(self) -> bool:
        return ALONE_VARIABLE in os.environ

    @property
    def _only_queues(self) -> list[str]:
        """Empty for every queue of ours. `rq worker` without names says "default", which is not one of them."""
        names = [queue.name for queue in self.queues]
        return [] if names == ["default"] else names

    async def _take_name(self, lease: float) -> None:
        """Comes after a worker of the same name that has died, and hands back its calls: as one's own they would be
        kept for ever. Raises ValueError when there is one that lives."""
        entry = Namesake(self.connection, self.name, self.hostname or "")
        await entry.wait_until_gone(lease)
        if entry.was_there:
            await self._bury(self.name)

    def _say_hello(self) -> None:
        rq: Any = super()  # RQ's methods are not all annotated
        try:
            rq.register_birth()
        except ResponseError as exc:
            # What waits in a Redis whose memory is full has to be run, or there will never be room.
            logger.warning(
                "Redis refuses to register this worker (%s); it works without that",
                exc,
                extra={"event": "not_registered", "worker": self.name},
            )
        rq.subscribe()
        if not self._is_for_calls_alone:
            logger.info("worker ready", extra={"event": "ready", "worker": self.name})

    def _say_goodbye(self) -> None:
        rq: Any = super()
        try:
            with contextlib.suppress(OutOfMemoryError):
                rq.register_death()
            forget(self.connection, self.name)
        except Unreachable as exc:
            logger.warning("cannot sign off from Redis (%s); the entry expires by itself", exc)
        try:
            rq.unsubscribe()
        except Unreachable as exc:
            logger.debug("unsubscribing failed: %s", exc)


async def _run(executor: Executor, isolation: Isolation, drain_timeout: float, burst: bool) -> None:
    """The worker's work, and beside it, unless it is a short one, the processes for calls to be run alone."""
    if burst:
        await executor.run(drain_timeout, burst)
        return
    beside = asyncio.create_task(isolation.run(), name="calls to be run alone")
    try:
        await executor.run(drain_timeout)
    finally:
        isolation.stop()
        await beside


def _metrics_listener(settings: Settings, meter: Meter) -> contextlib.AbstractContextManager[object]:
    """Where Prometheus reads what this process counts. A port that is taken stops no call."""
    if not settings.metrics_port:
        return contextlib.nullcontext()
    port = settings.metrics_port + int(os.environ.get(NUMBER_VARIABLE) or 0)
    try:
        return serve_metrics(port, meter.exposition, settings.metrics_address)
    except OSError as exc:
        logger.error("no metrics: cannot listen on port %d (%s)", port, exc.strerror, extra={"event": "no_metrics"})
        return contextlib.nullcontext()


def make_worker(connection: Redis, name: str) -> FunctionWorker:
    """A worker for every queue of ours."""
    return FunctionWorker([], name=name, connection=connection)
