"""`python -m gateway`: builds the real parts and serves until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import secrets
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import redis.asyncio
import uvloop

from gateway.api.cross_origin import on_flask
from gateway.api.head_checks import HeadChecks
from gateway.api.management import Management
from gateway.app import Parts, create_app
from gateway.call_counts import CallCounts
from gateway.connection_limiter import ConnectionLimiter, most_connections
from gateway.fastlane.app import FastLane
from gateway.fastlane.cross_origin import cross_origin_exchange
from gateway.fastlane.exchange import Exchange
from gateway.fastlane.flask_proxy import FlaskProxy
from gateway.invoke.asynchronous import Asynchronous, Rules
from gateway.invoke.bodies import BodyBudget
from gateway.invoke.bridge import Bridge
from gateway.invoke.credentials import MountedCredentials
from gateway.invoke.cross_origin import CrossOrigin
from gateway.invoke.queue_capacity import QueueCapacity
from gateway.invoke.synchronous import Synchronous
from gateway.limits import Limits
from gateway.load_metrics import LoadMetrics
from gateway.metrics import InvocationMetrics
from gateway.publisher import Publisher
from gateway.queue_metrics import QueueMetrics
from gateway.redis_watch import RedisWatch
from gateway.serving import PortTaken, fast_lane_server, listen
from gateway.settings import Settings
from gateway.suspension import Suspension
from gateway.threaded.server import FlaskServer
from gateway.warnings import warnings_of, warnings_of_functions
from swarmfn.background_work import failures_of, keep_running
from swarmfn.exposition.listener import MetricsListener, serve_metrics
from swarmfn.jobs.logging_in import MountedPasswords
from swarmfn.jobs.redis_clients import connect, connect_blocking
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.jobs.server import ServerTooOld, require_supported
from swarmfn.jobs.stored_layout import require_readable
from swarmfn.jobs.submissions import Submissions
from swarmfn.memory import memory_for_us
from swarmfn.provider import Provider
from swarmfn.provider.local import LocalProvider, ResourceLimits, Timing
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.stopping import on_stop
from swarmfn.upstream import Upstream
from swarmfn.wire.addresses import join_address
from swarmfn.wire.descriptors import allow_many_descriptors
from swarmfn.wire.errors import FaasError, NewerLayout, SettingsError
from swarmfn.wire.logs import configure_logging
from swarmfn.wire.replicas import ReplicaTable, lost_addresses
from swarmfn.wire.secret_files import REGISTRY_LOGINS

logger = logging.getLogger("gateway")

_DRAIN_MARGIN = 1.0
"""Seconds beyond upstream_timeout, for the answers that report it."""

_UPLOAD_MARGIN = 60
"""Seconds beyond read_timeout, for a Redis that is slow."""


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
        provider = _provider(settings)
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


def _provider(settings: Settings) -> Provider:
    if settings.functions_provider == "local":
        limits = ResourceLimits(
            settings.functions_rlimit_nproc, settings.functions_rlimit_nofile, settings.functions_rlimit_as
        )
        own = f"127.0.0.1:{settings.port}"
        timing = Timing(start_limit=settings.functions_start_timeout)
        return LocalProvider(settings.local_state_dir, settings.exec_timeout, own, timing, limits)
    # Imported here: a gateway without Swarm needs no docker package, and starts faster without it.
    from swarmfn.provider.swarm import Hardening, RegistryLogins, SwarmProvider

    hardening = Hardening(
        settings.functions_drop_capabilities,
        settings.functions_pids_limit,
        settings.functions_memory_limit,
        settings.functions_cpu_limit,
    )
    return SwarmProvider(
        settings.docker_host or None,
        settings.exec_timeout,
        settings.gateway_address,
        network=settings.functions_network,
        hardening=hardening,
        start_timeout=settings.functions_start_timeout,
        logins=RegistryLogins.from_file(os.path.join(settings.secret_mount_path, REGISTRY_LOGINS)),
    )


def _require_usable(client: redis.Redis) -> None:
    """Raises NewerLayout or ServerTooOld. While Redis is away nobody knows; the gateway starts, and answers 503 for
    asynchronous calls."""
    try:
        require_supported(client)
        require_readable(client)
    except Unreachable as exc:
        logger.warning("cannot look at the queue's server: %s", exc, extra={"event": "redis_unreachable"})


def _upload_budget(settings: Settings, memory: int) -> int:
    """A quarter of the memory there is, unless the settings say otherwise; room for the largest body in any case."""
    return settings.upload_budget or max(memory // 4, settings.async_max_body)


class Gateway:
    """Everything that lives on the event loop, put together."""

    def __init__(self, settings: Settings, provider: Provider) -> None:
        self._settings = settings
        self._provider = provider
        self._metrics = InvocationMetrics(provider.table)
        memory = memory_for_us()
        self._bodies = BodyBudget(_upload_budget(settings, memory), settings.trusted_proxies)
        self._most_connections = most_connections(allow_many_descriptors(), memory)
        self._limiters = [self._limiter() for _ in range(2 if settings.data_plane == "flask" else 1)]
        self._unfinished = BodyBudget(self._bodies.size, settings.trusted_proxies)
        # waitress keeps a whole request, on disk where it is large, before anybody reads it.
        self._spool = BodyBudget(self._bodies.size, settings.trusted_proxies)
        coming_in = self._spool if settings.data_plane == "flask" else self._bodies
        self._metrics.add(LoadMetrics(coming_in, self._unfinished, self._limiters))
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._peer_secret = secrets.token_hex(16)
        self._failures: list[RepeatedFailures] = []

    async def serve(self) -> None:
        """Serves until a signal, then lets what is in flight end. Raises PortTaken, NewerLayout and ServerTooOld."""
        settings = self._settings
        listener = listen(settings.listen_address, settings.port)
        managing = listen(settings.listen_address, settings.management_port) if settings.management_port else None
        on_stop(self._stop.set, self._hurry.set)
        # What is here stays: the collector need not look at it again and again, nor after every few hundred objects.
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        async with AsyncExitStack() as stack:
            stack.callback(listener.close)
            if managing is not None:
                stack.callback(managing.close)
            passwords = MountedPasswords(settings.secret_mount_path)
            connections = connect(settings.redis_address, passwords)
            stack.push_async_callback(connections.aclose)
            upstream = Upstream()
            stack.push_async_callback(upstream.close)
            blocking = connect_blocking(settings.redis_address, passwords)
            stack.callback(blocking.close)
            _require_usable(blocking)

            def begin_anew() -> None:
                connections.begin_anew()
                blocking.connection_pool.disconnect(inuse_connections=False)

            await self._follow_replicas(stack, Publisher(connections.vital, begin_anew), upstream)
            watch = await self._redis_watch(stack, connections.vital)
            capacity = await self._capacity(stack, connections.vital)
            counts = await self._call_counts(stack, connections.vital)
            parts = self._parts(
                upstream, Submissions(connections, self._upload_ttl()), blocking, capacity, watch, counts
            )
            if settings.metrics_port:
                stack.enter_context(self._metrics_listener())
            limits = Limits(settings.read_timeout, settings.write_timeout)
            if settings.data_plane == "flask":
                await self._serve_flask(parts, listener, managing, limits)
            else:
                await self._serve_fast_lane(parts, upstream, listener, managing, limits)

    def _in_background(self, stack: AsyncExitStack, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Lets `work` run until the stack is undone, and waits for its end: what it works with is closed after that."""
        failures = failures_of(name)
        self._failures.append(failures)
        task = asyncio.create_task(keep_running(name, work, failures=failures), name=name)

        async def end() -> None:
            # A library may take a cancellation for the end of a connection, and go on: so it is repeated, for 5 s.
            for _ in range(50):
                task.cancel()
                if (await asyncio.wait([task], timeout=0.1))[0]:
                    return

        stack.push_async_callback(end)

    def _upload_ttl(self) -> int:
        """No client takes longer to send a body; soon after that a call owns it, or nobody ever will."""
        return math.ceil(self._settings.read_timeout) + _UPLOAD_MARGIN

    def _limiter(self) -> ConnectionLimiter:
        settings = self._settings
        return ConnectionLimiter(self._most_connections, settings.max_connections_per_client, settings.trusted_proxies)

    def _metrics_listener(self) -> MetricsListener:
        address, port = self._settings.listen_address, self._settings.metrics_port
        try:
            return serve_metrics(port, self._metrics.exposition, address, lambda: not self._stop.is_set())
        except OSError as exc:
            raise PortTaken(f"cannot listen on {join_address(address, port)}: {exc.strerror}.") from exc

    async def _follow_replicas(self, stack: AsyncExitStack, publisher: Publisher, upstream: Upstream) -> None:
        """Publishes each new table, and waits no longer for replicas whose node is down."""
        loop = asyncio.get_running_loop()

        def take(table: ReplicaTable) -> None:
            publisher.offer(table)
            upstream.give_up(lost_addresses(table))

        def offer(table: ReplicaTable) -> None:
            loop.call_soon_threadsafe(take, table)

        stack.callback(self._provider.watch(offer))
        self._in_background(stack, "publishing the replica table", publisher.run)

    async def _redis_watch(self, stack: AsyncExitStack, client: redis.asyncio.Redis) -> RedisWatch:
        watch = RedisWatch(client)
        await watch.look()
        self._metrics.add(watch)
        self._in_background(stack, "watching Redis", watch.run)
        return watch

    async def _call_counts(self, stack: AsyncExitStack, client: redis.asyncio.Redis) -> CallCounts:
        """Known before the first call, and stored after the last."""
        counts = CallCounts(self._metrics, client)
        await counts.look()
        stack.push_async_callback(counts.look)
        self._in_background(stack, "storing call counts", counts.run)
        return counts

    async def _capacity(self, stack: AsyncExitStack, client: redis.asyncio.Redis) -> QueueCapacity:
        """Looks once before the first call, then every second."""
        settings = self._settings
        capacity = QueueCapacity(
            client, settings.queue_max_memory, settings.queue_max_depth, settings.async_max_put_off
        )
        await capacity.look()
        self._in_background(stack, "watching the room in Redis", capacity.run)
        return capacity

    def _parts(
        self,
        upstream: Upstream,
        submissions: Submissions,
        blocking: redis.Redis,
        capacity: QueueCapacity,
        watch: RedisWatch,
        counts: CallCounts,
    ) -> Parts:
        settings = self._settings
        self._metrics.add(QueueMetrics(blocking))
        suspension = Suspension(blocking)
        credentials = None
        if settings.basic_auth:
            credentials = MountedCredentials(settings.secret_mount_path, settings.user or "", settings.password or "")
        return Parts(
            management=Management(
                provider=self._provider,
                metrics=self._metrics,
                counts=counts.now,
                dashboard_redis=blocking,
                redis_address=settings.redis_address.url,
                credentials=credentials,
                notices=suspension.sentences,
                peer_secret=self._peer_secret,
                trusted_proxies=settings.trusted_proxies,
                limits=capacity.limits,
                warnings=lambda: [
                    *suspension.sentences(),
                    *watch.sentences(),
                    *warnings_of(settings),
                    *self._provider.shortcomings(),
                    *warnings_of_functions(self._provider.table()),
                    *(sentence for failures in self._failures for sentence in failures.sentences),
                ],
            ),
            synchronous=Synchronous(
                self._provider.table, upstream, self._metrics, settings.upstream_timeout, credentials, settings.max_hops
            ),
            asynchronous=Asynchronous(
                self._provider.table,
                submissions,
                settings.async_max_body,
                settings.upstream_timeout,
                self._rules(),
                own=credentials,
                capacity=capacity,
                unfinished=self._unfinished,
            ),
            bridge=Bridge(asyncio.get_running_loop()),
            is_ready=lambda: not self._stop.is_set(),
            bodies=self._bodies,
        )

    def _rules(self) -> Rules:
        settings = self._settings
        return Rules(
            idempotency_window=settings.idempotency_window,
            max_delay=settings.async_max_delay,
            max_put_off=settings.async_max_put_off,
            max_depth=settings.queue_max_depth,
            max_queue_age=settings.queue_max_age,
            guard=settings.callback_guard,
            max_hops=settings.max_hops,
        )

    async def _serve_flask(
        self, parts: Parts, listener: socket.socket, managing: socket.socket | None, limits: Limits
    ) -> None:
        app = create_app(parts)
        if self._settings.cors_origins:
            on_flask(app, CrossOrigin(self._settings.cors_origins))
        head_checks = HeadChecks(app, serves_calls=True)
        public, own = self._limiters  # each belongs to a server, which runs on a thread of its own
        if managing is None:
            servers = [FlaskServer(app, listener, limits, head_checks, self._spool, public)]
        else:
            servers = [
                FlaskServer(app, listener, limits, head_checks, self._spool, public, is_public=True),
                FlaskServer(app, managing, limits, head_checks, self._spool, own),
            ]
        for server in servers:
            server.start()
        self._say_ready()
        await self._stop.wait()
        self._begin_to_stop(parts)
        drain = self._settings.upstream_timeout + _DRAIN_MARGIN
        await asyncio.gather(*(asyncio.to_thread(server.close, drain, self._hurry.is_set) for server in servers))

    async def _serve_fast_lane(
        self,
        parts: Parts,
        upstream: Upstream,
        listener: socket.socket,
        managing: socket.socket | None,
        limits: Limits,
    ) -> None:
        app = create_app(parts)
        flask_server = FlaskServer(app, listen("127.0.0.1", 0), limits, HeadChecks(app, serves_calls=False))
        flask_server.start()
        flask_proxy = FlaskProxy(upstream, f"127.0.0.1:{flask_server.port}", self._peer_secret)
        public_port = 0 if managing is None else self._settings.port
        lane = FastLane(parts.synchronous, parts.asynchronous, flask_proxy, parts.is_ready, parts.bodies, public_port)
        origins = self._settings.cors_origins
        exchange = cross_origin_exchange(CrossOrigin(origins)) if origins else Exchange
        drain_timeout = self._settings.upstream_timeout + _DRAIN_MARGIN
        server = fast_lane_server(lane, limits, self._limiters[0], drain_timeout, exchange)
        listeners = [listener] if managing is None else [listener, managing]
        serving = asyncio.create_task(server._serve(listeners))
        stop = asyncio.create_task(self._stop.wait())
        self._say_ready()
        await asyncio.wait([serving, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        self._begin_to_stop(parts)
        server.should_exit = True
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([serving, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        server.force_exit = self._hurry.is_set()
        await serving
        await asyncio.to_thread(flask_server.close, _DRAIN_MARGIN)

    def _say_ready(self) -> None:
        logger.info(
            "gateway ready on %s:%d (%s)%s",
            self._settings.listen_address,
            self._settings.port,
            self._settings.data_plane,
            f", management on port {self._settings.management_port}" if self._settings.management_port else "",
            extra={"event": "ready"},
        )

    def _begin_to_stop(self, parts: Parts) -> None:
        parts.asynchronous.stop_waiting()
        logger.info(
            "gateway stopping; calls in flight have %g s to end",
            self._settings.upstream_timeout + _DRAIN_MARGIN,
            extra={"event": "stopping"},
        )


if __name__ == "__main__":
    sys.exit(main())
