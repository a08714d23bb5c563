"""`python -m gateway`: builds the real parts and serves until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import sys
from contextlib import AsyncExitStack

import redis
import redis.asyncio
import uvloop

from gateway.assembly import Assembly, Clients, Views
from gateway.background import Background
from gateway.call_counts import CallCounts
from gateway.call_metrics import InvocationMetrics
from gateway.front_ends import FrontEnds, Listeners, Stopping
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.load_limits import LoadLimits
from gateway.provider_choice import make_provider
from gateway.publisher import Publisher
from gateway.redis_watch import RedisWatch
from gateway.serving import PortTaken, listen
from gateway.settings import Settings
from swarmfn.exposition.listener import MetricsListener, serve_metrics
from swarmfn.jobs.logging_in import MountedPasswords
from swarmfn.jobs.redis_clients import connect, connect_blocking
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.jobs.server import ServerTooOld, require_supported
from swarmfn.jobs.stored_layout import require_readable
from swarmfn.memory import memory_for_us
from swarmfn.provider import Provider
from swarmfn.stopping import on_stop
from swarmfn.upstream import Upstream
from swarmfn.wire.addresses import join_address
from swarmfn.wire.descriptors import allow_many_descriptors
from swarmfn.wire.errors import FaasError, NewerLayout, SettingsError
from swarmfn.wire.logs import configure_logging
from swarmfn.wire.replicas import ReplicaTable, lost_addresses

logger = logging.getLogger("gateway")


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    configure_logging(settings.log_format)
    for sentence in settings.misspelt:
        logger.warning("%s", sentence, extra={"event": "setting_misspelt"})
    try:
        provider = make_provider(settings)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    except FaasError as exc:
        print(f"cannot start: {exc}", file=sys.stderr)
        return 1
    try:
        uvloop.run(Gateway(settings, provider).serve())
    except PortTaken as exc:
        print(f"cannot start: {exc} Choose another port, or stop what listens there.", file=sys.stderr)
        return 1
    except (NewerLayout, ServerTooOld) as exc:
        print(f"cannot start: {exc}", file=sys.stderr)
        return 1
    finally:
        provider.close()
    logger.info("gateway stopped", extra={"event": "stopped"})
    return 0


class Gateway:
    """Everything that lives on the event loop, put together."""

    def __init__(self, settings: Settings, provider: Provider) -> None:
        self._settings = settings
        self._provider = provider
        self._metrics = InvocationMetrics(provider.table)
        self._load = LoadLimits.of(settings, memory_for_us(), allow_many_descriptors())
        self._metrics.add(self._load.metrics())
        self._stopping = Stopping()
        self._peer_secret = secrets.token_hex(16)

    async def serve(self) -> None:
        """Serves until a signal, then lets what is in flight end. Raises PortTaken, NewerLayout and ServerTooOld."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            listeners = self._listen(stack)
            on_stop(self._stopping.begun.set, self._stopping.hurried.set)
            # What is here stays: the collector need not look at it again and again, nor after a few hundred objects.
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
            clients = self._connect(stack)
            _require_usable(clients.blocking)
            background = Background(stack)
            self._follow_replicas(stack, background, clients)
            views = await self._look_at_redis(stack, background, clients.connections.vital)
            assembly = Assembly(settings, self._provider, self._metrics, self._load, self._is_ready, self._peer_secret)
            parts = assembly.parts(clients, views, background)
            if settings.metrics_port:
                stack.enter_context(self._metrics_listener())
            front_ends = FrontEnds(settings, parts, listeners, self._load, self._stopping)
            if settings.data_plane == "flask":
                await front_ends.serve_flask()
            else:
                await front_ends.serve_fast_lane(clients.upstream, self._peer_secret)

    def _listen(self, stack: AsyncExitStack) -> Listeners:
        """On the public port, and on that of management where it has one."""
        settings = self._settings
        ports = [settings.port, settings.management_port] if settings.management_port else [settings.port]
        sockets = [stack.enter_context(listen(settings.listen_address, port)) for port in ports]
        return Listeners(*sockets)

    def _connect(self, stack: AsyncExitStack) -> Clients:
        address, passwords = self._settings.redis_address, MountedPasswords(self._settings.secret_mount_path)
        connections = connect(address, passwords)
        stack.push_async_callback(connections.aclose)
        upstream = Upstream()
        stack.push_async_callback(upstream.close)
        blocking = connect_blocking(address, passwords)
        stack.callback(blocking.close)
        return Clients(connections, blocking, upstream)

    def _metrics_listener(self) -> MetricsListener:
        address, port = self._settings.listen_address, self._settings.metrics_port
        try:
            return serve_metrics(port, self._metrics.exposition, address, self._is_ready)
        except OSError as exc:
            raise PortTaken(f"cannot listen on {join_address(address, port)}: {exc.strerror}.") from exc

    def _is_ready(self) -> bool:
        return not self._stopping.begun.is_set()

    def _follow_replicas(self, stack: AsyncExitStack, background: Background, clients: Clients) -> None:
        """Publishes each new table, and waits no longer for replicas whose node is down."""
        loop = asyncio.get_running_loop()
        publisher = Publisher(clients.connections.vital, clients.begin_anew)

        def take(table: ReplicaTable) -> None:
            publisher.offer(table)
            clients.upstream.give_up(lost_addresses(table))

        def offer(table: ReplicaTable) -> None:
            loop.call_soon_threadsafe(take, table)

        stack.callback(self._provider.watch(offer))
        background.start("publishing the replica table", publisher.run)

    async def _look_at_redis(self, stack: AsyncExitStack, background: Background, client: redis.asyncio.Redis) -> Views:
        """Each looks once before the first call, and then again and again; counts are stored after the last call."""
        settings = self._settings
        watch = RedisWatch(client)
        await watch.look()
        self._metrics.add(watch)
        background.start("watching Redis", watch.run)
        capacity = QueueCapacity(
            client, settings.queue_max_memory, settings.queue_max_depth, settings.async_max_put_off
        )
        await capacity.look()
        background.start("watching the room in Redis", capacity.run)
        counts = CallCounts(self._metrics, client)
        await counts.look()
        stack.push_async_callback(counts.look)
        background.start("storing call counts", counts.run)
        return Views(watch, capacity, counts)


def _require_usable(client: redis.Redis) -> None:
    """Raises NewerLayout or ServerTooOld. While Redis is away nobody knows; the gateway starts, and answers 503 for
    asynchronous calls."""
    try:
        require_supported(client)
        require_readable(client)
    except Unreachable as exc:
        logger.warning("cannot look at the queue's server: %s", exc, extra={"event": "redis_unreachable"})


if __name__ == "__main__":
    sys.exit(main())
