"""A listening socket and the connections that came in through it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from fwatchdog.http.client_connection import ClientConnection
from fwatchdog.http.site import Site

BACKLOG = 1024


def bind(port: int) -> socket.socket:
    """A socket listening on every address, IPv6 too where there is any. Raises OSError."""
    if socket.has_dualstack_ipv6():
        # An address family can be compiled in and switched off: then only IPv4 is left.
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=BACKLOG)


def inherit(descriptor: int) -> socket.socket:
    """The listening socket a parent left open as `descriptor`. Raises OSError, ValueError if it does not listen."""
    inherited = socket.socket(fileno=descriptor)
    if not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.detach()
        raise ValueError(f"descriptor {descriptor} is not a listening socket")
    os.set_inheritable(descriptor, False)
    return inherited


class Listener:
    """Accepts connections on `sock`, which it owns, and watches over their timeouts."""

    def __init__(self, sock: socket.socket, site: Site) -> None:
        # Connections inherit it. asyncio sets it only where the socket names its protocol; without it a second part of
        # a response waits some 40 ms for the client's delayed acknowledgement of the first.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._site = site
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self._site, loop), sock=self._socket, backlog=BACKLOG
        )
        # One timer for all connections: a timer of its own for every request would be a good part of its cost.
        site = self._site
        shortest = min(site.read_timeout, site.write_timeout, site.idle_timeout, site.linger_timeout, 4.0)
        self._check_times(loop, max(0.02, shortest / 8))

    def _check_times(self, loop: asyncio.AbstractEventLoop, interval: float) -> None:
        now = loop.time()
        for connection in tuple(self._site.connections):
            connection.check_time(now)
        self._sweep = loop.call_later(interval, self._check_times, loop, interval)

    async def stop_accepting(self) -> None:
        """Takes in what the kernel has accepted already, then closes the socket and the unused connections."""
        if self._server is None:
            return
        self._site.is_draining = True
        await self._accept_waiting()
        self._server.close()
        self._server = None
        self.close_unused()

    async def _accept_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            client.setblocking(False)
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(lambda: ClientConnection(self._site, loop), client)

    def close_unused(self) -> None:
        for connection in tuple(self._site.connections):
            if not connection.is_busy:
                connection.close()

    @property
    def has_connections(self) -> bool:
        return bool(self._site.connections)

    async def finish(self, timeout: float) -> None:
        """Waits until every connection is closed; after `timeout` seconds the rest is cut off."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.has_connections and loop.time() < deadline:
            self.close_unused()
            await asyncio.sleep(0.02)
        for connection in tuple(self._site.connections):
            connection.close()
        await asyncio.sleep(0)
        if self._sweep is not None:
            self._sweep.cancel()
