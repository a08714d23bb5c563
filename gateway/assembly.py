"""What the app works with, made from the settings and the connections there are."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from gateway.api.bridge import Bridge
from gateway.api.management import Management
from gateway.app import Parts
from gateway.background import Background
from gateway.call_counts import CallCounts
from gateway.call_metrics import InvocationMetrics
from gateway.invoke.accepted_calls import AcceptedCalls
from gateway.invoke.asynchronous import Asynchronous, Rules
from gateway.invoke.credentials import MountedCredentials
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.invoke.synchronous import Synchronous
from gateway.load_limits import LoadLimits
from gateway.queue_metrics import QueueMetrics
from gateway.redis_watch import RedisWatch
from gateway.settings import Settings
from gateway.suspension import Suspension
from gateway.warnings import warnings_of, warnings_of_functions
from swarmfn.jobs.redis_clients import Connections
from swarmfn.jobs.submissions import Submissions
from swarmfn.provider import Provider
from swarmfn.upstream import Upstream

_UPLOAD_MARGIN = 60
"""Seconds beyond read_timeout, for a Redis that is slow."""


@dataclass(frozen=True)
class Clients:
    """connections: to Redis, for the event loop; blocking: to the same, for threads, with time limits; upstream: to
    replicas."""

    connections: Connections
    blocking: Redis
    upstream: Upstream

    def begin_anew(self) -> None:
        """Redis's connections are made again: it may have become another server."""
        self.connections.begin_anew()
        self.blocking.connection_pool.disconnect(inuse_connections=False)


@dataclass(frozen=True)
class Views:
    """What is known of Redis without asking it at each call."""

    watch: RedisWatch
    capacity: QueueCapacity
    counts: CallCounts


@dataclass(frozen=True)
class Assembly:
    """Puts the parts together. is_ready: whether calls are let in; peer_secret: by which Flask knows the fast lane."""

    settings: Settings
    provider: Provider
    metrics: InvocationMetrics
    load: LoadLimits
    is_ready: Callable[[], bool]
    peer_secret: str

    def parts(self, clients: Clients, views: Views, background: Background) -> Parts:
        credentials = _credentials(self.settings)
        settings, table = self.settings, self.provider.table
        submissions = Submissions(clients.connections, _upload_ttl(settings))
        self.metrics.add(QueueMetrics(clients.blocking))
        return Parts(
            management=self._management(clients.blocking, views, background, credentials),
            synchronous=Synchronous(
                table, clients.upstream, self.metrics, settings.upstream_timeout, credentials, settings.max_hops
            ),
            asynchronous=Asynchronous(
                table,
                submissions,
                settings.async_max_body,
                _rules(settings),
                own=credentials,
                capacity=views.capacity,
                unfinished=self.load.unfinished,
            ),
            accepted_calls=AcceptedCalls(table, submissions, settings.upstream_timeout),
            bridge=Bridge(asyncio.get_running_loop()),
            is_ready=self.is_ready,
            bodies=self.load.bodies,
        )

    def _management(
        self, blocking: Redis, views: Views, background: Background, credentials: MountedCredentials | None
    ) -> Management:
        settings, provider = self.settings, self.provider
        suspension = Suspension(blocking)
        return Management(
            provider=provider,
            metrics=self.metrics,
            counts=views.counts.now,
            dashboard_redis=blocking,
            redis_address=settings.redis_address.url,
            credentials=credentials,
            notices=suspension.sentences,
            peer_secret=self.peer_secret,
            trusted_proxies=settings.trusted_proxies,
            limits=views.capacity.limits,
            warnings=lambda: [
                *suspension.sentences(),
                *views.watch.sentences(),
                *warnings_of(settings),
                *provider.shortcomings(),
                *warnings_of_functions(provider.table()),
                *background.sentences(),
            ],
        )


def _credentials(settings: Settings) -> MountedCredentials | None:
    if not settings.basic_auth:
        return None
    return MountedCredentials(settings.secret_mount_path, settings.user or "", settings.password or "")


def _upload_ttl(settings: Settings) -> int:
    """No client takes longer to send a body; soon after that a call owns it, or nobody ever will."""
    return math.ceil(settings.read_timeout) + _UPLOAD_MARGIN


def _rules(settings: Settings) -> Rules:
    return Rules(
        idempotency_window=settings.idempotency_window,
        max_delay=settings.async_max_delay,
        max_put_off=settings.async_max_put_off,
        max_depth=settings.queue_max_depth,
        max_queue_age=settings.queue_max_age,
        guard=settings.callback_guard,
        max_hops=settings.max_hops,
    )
