"""The two front ends, each served until a signal, and then until what is in flight has ended."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field

import uvicorn
from flask import Flask

from gateway.api.cross_origin_hooks import on_flask
from gateway.api.head_checks import HeadChecks
from gateway.app import Parts, create_app
from gateway.fastlane.app import FastLane
from gateway.fastlane.cross_origin_exchange import cross_origin_exchange
from gateway.fastlane.exchange import Exchange
from gateway.fastlane.flask_proxy import FlaskProxy
from gateway.invoke.cross_origin import CrossOrigin
from gateway.load_limits import LoadLimits
from gateway.request_limits import RequestLimits
from gateway.serving import fast_lane_server, listen
from gateway.settings import Settings
from gateway.threaded.server import FlaskServer
from swarmfn.upstream import Upstream

logger = logging.getLogger("gateway")

_DRAIN_MARGIN = 1.0
"""Seconds beyond upstream_timeout, for the answers that report it."""


@dataclass(frozen=True)
class Listeners:
    """Where clients come in. management: None where it is on the public port."""

    public: socket.socket
    management: socket.socket | None = None

    def all(self) -> list[socket.socket]:
        return [self.public] if self.management is None else [self.public, self.management]


@dataclass(frozen=True)
class Stopping:
    """begun: nothing new is let in; hurried: what is in flight is not waited for any longer."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class FrontEnds:
    """Either of them serves `parts` on `listeners`, from `serve_...` until `stopping` has begun and what is in flight
    has ended."""

    settings: Settings
    parts: Parts
    listeners: Listeners
    load: LoadLimits
    stopping: Stopping

    async def serve_flask(self) -> None:
        """Flask alone, on threads."""
        app = create_app(self.parts)
        if self.settings.cors_origins:
            on_flask(app, CrossOrigin(self.settings.cors_origins))
        servers = self._flask_servers(app)
        for server in servers:
            server.start()
        self._say_ready()
        await self.stopping.begun.wait()
        self._begin_to_stop()
        is_hurried = self.stopping.hurried.is_set
        await asyncio.gather(*(asyncio.to_thread(server.close, self._drain_timeout, is_hurried) for server in servers))

    async def serve_fast_lane(self, upstream: Upstream, peer_secret: str) -> None:
        """The event loop for calls, and behind it Flask on loopback, which knows by `peer_secret` who is a client."""
        app = create_app(self.parts)
        flask_server = FlaskServer(app, listen("127.0.0.1", 0), self._limits, HeadChecks(app, serves_calls=False))
        flask_server.start()
        proxy = FlaskProxy(upstream, f"127.0.0.1:{flask_server.port}", peer_secret)
        server = self._fast_lane_server(proxy)
        serving = asyncio.create_task(server._serve(self.listeners.all()))
        self._say_ready()
        await _either(serving, self.stopping.begun)
        self._begin_to_stop()
        server.should_exit = True
        await _either(serving, self.stopping.hurried)
        server.force_exit = self.stopping.hurried.is_set()
        await serving
        await asyncio.to_thread(flask_server.close, _DRAIN_MARGIN)

    def _flask_servers(self, app: Flask) -> list[FlaskServer]:
        checks = HeadChecks(app, serves_calls=True)
        limits, spool = self._limits, self.load.spool
        public, own = self.load.limiters
        if self.listeners.management is None:
            return [FlaskServer(app, self.listeners.public, limits, checks, spool, public)]
        return [
            FlaskServer(app, self.listeners.public, limits, checks, spool, public, is_public=True),
            FlaskServer(app, self.listeners.management, limits, checks, spool, own),
        ]

    def _fast_lane_server(self, otherwise: FlaskProxy) -> uvicorn.Server:
        settings, parts = self.settings, self.parts
        public_port = 0 if self.listeners.management is None else settings.port
        lane = FastLane(
            parts.synchronous,
            parts.asynchronous,
            parts.accepted_calls,
            otherwise,
            parts.is_ready,
            parts.bodies,
            public_port,
        )
        exchange = cross_origin_exchange(CrossOrigin(settings.cors_origins)) if settings.cors_origins else Exchange
        return fast_lane_server(lane, self._limits, self.load.limiters[0], self._drain_timeout, exchange)

    @property
    def _limits(self) -> RequestLimits:
        return RequestLimits(self.settings.read_timeout, self.settings.write_timeout)

    @property
    def _drain_timeout(self) -> float:
        return self.settings.upstream_timeout + _DRAIN_MARGIN

    def _say_ready(self) -> None:
        settings = self.settings
        logger.info(
            "gateway ready on %s:%d (%s)%s",
            settings.listen_address,
            settings.port,
            settings.data_plane,
            f", management on port {settings.management_port}" if settings.management_port else "",
            extra={"event": "ready"},
        )

    def _begin_to_stop(self) -> None:
        self.parts.accepted_calls.stop_waiting()
        logger.info(
            "gateway stopping; calls in flight have %g s to end", self._drain_timeout, extra={"event": "stopping"}
        )


async def _either(serving: asyncio.Task[None], event: asyncio.Event) -> None:
    """Returns when the server has ended, or the event has come."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
