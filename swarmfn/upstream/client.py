"""The client: takes or makes a connection, and waits for the head of the answer."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any

from swarmfn.upstream.failures import DeadlinePassed, NotPermitted, NotSent
from swarmfn.upstream.names import Names
from swarmfn.upstream.pool import Pool
from swarmfn.upstream.racing import first_of, interleaved
from swarmfn.upstream.replica_connection import ReplicaConnection
from swarmfn.upstream.response import Response
from swarmfn.upstream.sending import LAST_CHUNK, chunk, framed
from swarmfn.wire.addresses import split_address


class Upstream:
    """Exchanges with any number of addresses, over connections it keeps. One per event loop, on which it is made.

    connect_timeout: seconds for resolving and connecting (and the TLS handshake); idle_timeout: how long an unused
    connection is kept, to be shorter than the replicas' own; max_idle: how many are kept per address; silence_limit:
    whole seconds (at least 4) after which an exchange with a machine that is no longer there ends as Broken, however
    long the function may run; tls_context: for exchanges with `tls=True`, by default one that checks certificates
    against the system's; permits: of an IP address, whether it may be connected to. It is asked about the very address
    that is then used, so a name that resolves to something else the next time gains nothing.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 3.0,
        # Many servers close after five seconds: at the same time as we would send, if it were as long here.
        idle_timeout: float = 4.0,
        max_idle: int = 256,
        silence_limit: int = 24,
        tls_context: ssl.SSLContext | None = None,
        permits: Callable[[str], bool] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect_timeout = connect_timeout
        self._silence_limit = silence_limit
        self._pool = Pool(self._loop, idle_timeout, max_idle)
        self._tls_context = tls_context
        self._permits = permits
        self._open: set[ReplicaConnection] = set()
        self._is_closed = False
        self._all_gone = asyncio.Event()
        self._names = Names()

    @property
    def open_connections(self) -> int:
        """How many there are now, idle ones included."""
        return len(self._open)

    @property
    def idle_connections(self) -> int:
        return len(self._pool)

    async def exchange(
        self,
        address: str,
        head: bytes,
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        method_is_head: bool = False,
        chunked: bool = False,
        deadline: float | None = None,
        tls: bool = False,
    ) -> Response:
        """Sends one request to `address` ("host:port", IPv6 in brackets) and returns when its head has come back.

        head: from `request_head`; body: all of it, or an iterator (see the package); method_is_head: the answer has
        no body whatever it says; chunked: send the body in chunks, as `head` announces; deadline: in loop time, for
        the whole exchange up to the end of the answer's body. Raises NotSent, Broken or DeadlinePassed.
        """
        if chunked or not isinstance(body, bytes):
            body = _framed(head, body, chunked)
        if deadline is not None and deadline <= self._loop.time():
            raise DeadlinePassed(address, "was not asked: the deadline had passed before.", is_sent=False)
        connection = self._pool.take("tls:" + address if tls else address)
        if connection is None:
            connection = await self._connect(address, tls, deadline)
        waiter = self._loop.create_future()
        response = connection.start(head, body, not method_is_head, deadline, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            response.abort()
            raise
        if not response.status:
            response.raise_failure()
        return response

    def give_up(self, addresses: Collection[str]) -> None:
        """Ends every exchange with these addresses as Broken, and forgets connections to them: their machine is
        gone. Later requests to them are tried anyway."""
        for connection in [one for one in self._open if one.address in addresses]:
            connection.abort("is on a machine that is gone.")

    async def close(self) -> None:
        """Closes every connection and returns when all are gone. Exchanges that are on end as Broken."""
        self._is_closed = True
        self._pool.close()
        for connection in list(self._open):
            connection.close()
        while self._open:
            self._all_gone.clear()
            await self._all_gone.wait()

    async def _connect(self, address: str, tls: bool, deadline: float | None) -> ReplicaConnection:
        if self._is_closed:
            raise NotSent(address, "was not asked: this client is closed.")
        give_up = self._loop.time() + self._connect_timeout
        is_hurried = deadline is not None and deadline < give_up
        try:
            async with asyncio.timeout_at(deadline if is_hurried else give_up):
                connection = await self._reach(address, tls)
        except TimeoutError as exc:
            if is_hurried:
                raise DeadlinePassed(address, "could not be reached before the deadline.", is_sent=False) from exc
            raise NotSent(address, f"could not be reached in {self._connect_timeout:g} s.") from exc
        except ConnectionRefusedError as exc:
            raise NotSent(address, "refused the connection.") from exc
        except (OSError, ValueError) as exc:
            raise NotSent(address, f"cannot be reached: {exc}.") from exc
        if self._is_closed or not connection.is_usable:
            connection.close()
            raise NotSent(address, "was not asked: the connection was closed at once.")
        return connection

    async def _reach(self, address: str, tls: bool) -> ReplicaConnection:
        """A connection to the first of the host's addresses that takes one."""
        host, port = split_address(address)
        places = await self._names.addresses(host)
        if self._permits is not None:
            places = [place for place in places if self._permits(place)]
            if not places:
                raise NotPermitted(address, "has no address that may be connected to.")

        def connect(place: str) -> Coroutine[Any, Any, ReplicaConnection]:
            return self._open_connection(address, tls, host, place, port)

        return await first_of(interleaved(places), connect, ReplicaConnection.close)

    async def _open_connection(self, address: str, tls: bool, host: str, place: str, port: int) -> ReplicaConnection:
        key = "tls:" + address if tls else address
        _, connection = await self._loop.create_connection(
            lambda: ReplicaConnection(self._loop, key, address, self._pool.put, self._on_lost),
            place,
            port,
            ssl=self._tls() if tls else None,
            server_hostname=host if tls else None,
        )
        self._open.add(connection)
        _notice_loss(connection.socket, self._silence_limit)
        return connection

    def _on_lost(self, connection: ReplicaConnection) -> None:
        self._pool.forget(connection)
        self._open.discard(connection)
        self._all_gone.set()

    def _tls(self) -> ssl.SSLContext:
        if self._tls_context is None:
            self._tls_context = ssl.create_default_context()
        return self._tls_context


def _notice_loss(connection: socket.socket, limit: int) -> None:
    """Has the kernel ask the other side now and then whether it is still there (RFC 9293, 3.8.4: keep-alives).

    A node that loses its power says nothing, and a run that may take hours would be waited for without end. It is not
    TCP_USER_TIMEOUT, which would also end a connection whose function is slow to read what it was sent.
    """
    pause = limit // 4
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, pause)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, pause)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _framed(head: bytes, body: bytes | AsyncIterator[bytes], chunked: bool) -> bytes | AsyncIterator[bytes]:
    if isinstance(body, bytes):
        return chunk(body) + LAST_CHUNK if body else LAST_CHUNK
    return framed(head, body, chunked)
