"""The connection with a real socket and a clock that the test moves."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fwatchdog.http.connection import IDLE_TIMEOUT, Connection, Handler, Site
from fwatchdog.http.messages import Request, Response
from tests.support.processes import listening_socket

REQUEST = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\nok"


async def echo(request: Request) -> Response:
    return Response(200, [], await request.body.read_all())


@dataclass
class Connected:
    """A connection, its transport, and the client's end. `connection.data_received` stands for what the client sent."""

    connection: Connection
    transport: asyncio.Transport
    client: socket.socket


@asynccontextmanager
async def connected(handle: Handler = echo, read_timeout: float = 30) -> AsyncIterator[Connected]:
    loop = asyncio.get_running_loop()
    site = Site(handle, read_timeout, math.inf)
    with listening_socket() as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    client.setblocking(False)
    accepted.setblocking(False)
    transport, connection = await loop.connect_accepted_socket(lambda: Connection(site, loop), accepted)
    try:
        yield Connected(connection, transport, client)
    finally:
        connection.close()
        client.close()
        await until(lambda: not site.connections)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110, the condition is a socket's, nobody sets an event for it
            await asyncio.sleep(0.001)


async def receive(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 65536)


async def test_unused_connection_stays_for_longer_than_a_pool_keeps_it() -> None:
    assert IDLE_TIMEOUT > 75
    async with connected() as it:
        now = asyncio.get_running_loop().time()
        for _ in range(2):
            it.client.send(REQUEST)
            assert (await receive(it.client)).endswith(b"ok")
            it.connection.check_time(now + 75)
        it.connection.check_time(now + IDLE_TIMEOUT + 75)
        assert await receive(it.client) == b""


async def test_time_of_a_request_starts_with_its_first_byte_and_does_not_start_again() -> None:
    async with connected() as it:
        now = asyncio.get_running_loop().time()
        it.connection.data_received(b"POST / HT")
        it.connection.check_time(now + 29)
        it.connection.data_received(b"TP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\no")
        it.connection.check_time(now + 29)
        it.connection.check_time(now + 31)
        assert (await receive(it.client)).startswith(b"HTTP/1.1 408 ")


async def test_running_request_has_all_the_time_it_wants() -> None:
    release = asyncio.Event()

    async def wait(request: Request) -> Response:
        await release.wait()
        return Response(200, [], (b"at last",))

    async with connected(wait) as it:
        it.connection.data_received(REQUEST)
        it.connection.check_time(asyncio.get_running_loop().time() + 1_000_000)
        release.set()
        assert (await receive(it.client)).endswith(b"at last")


async def test_handler_is_cancelled_when_its_caller_goes() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: Request) -> Response:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with connected(wait) as it, asyncio.timeout(20):
        it.client.send(REQUEST)
        await started.wait()
        it.client.close()
        await cancelled.wait()


async def test_handler_that_fails_is_a_500_and_the_connection_goes_on() -> None:
    calls = iter((True, False))

    async def fail_once(request: Request) -> Response:
        if next(calls):
            raise RuntimeError("a bug")
        return Response(200, [], (b"fine",))

    async with connected(fail_once) as it:
        it.client.send(REQUEST)
        assert (await receive(it.client)).startswith(b"HTTP/1.1 500 ")
        it.client.send(REQUEST)
        assert (await receive(it.client)).endswith(b"fine")


async def test_large_body_waits_for_its_reader_without_losing_its_time() -> None:
    may_read = asyncio.Event()

    async def read_later(request: Request) -> Response:
        await may_read.wait()
        size = 0
        while piece := await request.body.read():
            size += len(piece)
        return Response(200, [], (b"%d" % size,))

    length = 32 << 20
    async with connected(read_later) as it:
        loop = asyncio.get_running_loop()
        it.client.send(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % length)
        sending = asyncio.ensure_future(loop.sock_sendall(it.client, bytes(length)))
        await until(lambda: not it.transport.is_reading())
        it.connection.check_time(loop.time() + 1_000_000)
        assert not sending.done()
        may_read.set()
        await sending
        assert (await receive(it.client)).endswith(b"\r\n\r\n%d" % length)
