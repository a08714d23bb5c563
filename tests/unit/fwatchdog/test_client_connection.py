"""The connection with a real socket and a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from fwatchdog.http.client_connection import ClientConnection
from fwatchdog.http.messages import BrokenResponse, Request, Response, Stream
from fwatchdog.http.site import IDLE_TIMEOUT, Handler, Site
from tests.support.processes import listening_socket

REQUEST = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\nok"


async def echo(request: Request) -> Response:
    return Response(200, [], await request.body.read_all())


@dataclass
class Connected:
    """A connection, its transport, and the client's end. `connection.data_received` stands for what the client sent."""

    connection: ClientConnection
    transport: asyncio.Transport
    client: socket.socket


@asynccontextmanager
async def connected(handle: Handler = echo, read_timeout: float = 30, **limits: Any) -> AsyncIterator[Connected]:
    loop = asyncio.get_running_loop()
    site = Site(handle, read_timeout, math.inf, **limits)
    with listening_socket() as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    client.setblocking(False)
    accepted.setblocking(False)
    transport, connection = await loop.connect_accepted_socket(lambda: ClientConnection(site, loop), accepted)
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


async def receive_until_broken(sock: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await receive(sock):
            received += piece
    return received


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


async def test_settings_say_how_long_an_unused_connection_stays() -> None:
    async with connected(idle_timeout=10.0) as it:
        now = asyncio.get_running_loop().time()
        it.connection.check_time(now + 9)
        it.client.send(REQUEST)
        assert (await receive(it.client)).endswith(b"ok")
        it.connection.check_time(now + 100)
        assert await receive(it.client) == b""


async def test_settings_say_how_large_a_head_may_be_and_how_long_a_refused_client_is_listened_to() -> None:
    async with connected(max_head=2000, linger_timeout=50.0) as it:
        now = asyncio.get_running_loop().time()
        it.client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 2000 + b"\r\n\r\n")
        refusal = await receive(it.client)
        assert refusal.startswith(b"HTTP/1.1 431 ")
        assert b"over 2000 bytes" in refusal
        it.connection.check_time(now + 49)
        assert not it.transport.is_closing()
        it.connection.check_time(now + 100)
        assert it.transport.is_closing()


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


def stream_of(request: Request) -> Stream:
    return request.stream


async def two_pieces(request: Request) -> Response:
    stream = stream_of(request)
    await stream.begin(201, [("X-A", "1"), *[pair for pair in request.headers if pair[0] == "Content-Length"]])
    await stream.write(b"o")
    await stream.write(b"")
    await stream.write(b"k")
    return Response(201, [])


async def test_streamed_response_is_sent_as_it_is_produced_and_the_connection_goes_on() -> None:
    more = asyncio.Event()

    async def wait_between(request: Request) -> Response:
        stream = stream_of(request)
        await stream.begin(200, [])
        await stream.write(b"first")
        await more.wait()
        await stream.write(b"x" * 100_000)
        return Response(200, [])

    async with connected(wait_between) as it, asyncio.timeout(20):
        it.client.send(REQUEST)
        head = await receive(it.client)
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head
        if not head.endswith(b"first\r\n"):
            assert await receive(it.client) == b"5\r\nfirst\r\n"
        more.set()
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += await receive(it.client)
        assert received == b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n"
        it.client.send(REQUEST)
        assert (await receive(it.client)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_line", "headers", "framing", "body"),
    [
        (b"POST / HTTP/1.1", b"", b"Transfer-Encoding: chunked\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
        (b"POST / HTTP/1.1", b"Content-Length: 2\r\n", b"Content-Length: 2\r\n", b"ok"),
        (b"HEAD / HTTP/1.1", b"", b"Transfer-Encoding: chunked\r\n", b""),
        (b"POST / HTTP/1.0", b"", b"Connection: close\r\n", b"ok"),
    ],
)
async def test_streamed_response_is_framed(request_line: bytes, headers: bytes, framing: bytes, body: bytes) -> None:
    request = request_line + b"\r\nHost: f\r\n" + headers + b"Connection: close\r\n\r\n" + (b"ok" if headers else b"")
    async with connected(two_pieces) as it, asyncio.timeout(20):
        it.client.send(request)
        answer = b""
        while piece := await receive(it.client):
            answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\nX-A: 1\r\n")
    assert framing in head + b"\r\n"
    assert rest == body


@pytest.mark.parametrize("written", [b"", b"123"])
async def test_streamed_response_that_is_not_complete_breaks_the_connection(written: bytes) -> None:
    async def wrong_length(request: Request) -> Response:
        stream = stream_of(request)
        await stream.begin(200, [("Content-Length", "2")])
        await stream.write(written)
        return Response(200, [])

    async with connected(wrong_length) as it, asyncio.timeout(20):
        it.client.send(REQUEST)
        received = await receive_until_broken(it.client)
        assert b"123" not in received


async def test_handler_can_break_off_what_it_streams() -> None:
    async def give_up(request: Request) -> Response:
        await stream_of(request).begin(200, [])
        await stream_of(request).write(b"half")
        raise BrokenResponse("killed")

    async with connected(give_up) as it, asyncio.timeout(20):
        it.client.send(REQUEST)
        received = await receive_until_broken(it.client)
        assert b"0\r\n\r\n" not in received


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


@pytest.mark.parametrize("reads", [False, True])
async def test_a_client_that_was_refused_before_it_sent_its_body_is_not_kept(reads: bool) -> None:
    """Whether its body follows or its next request, nobody could tell."""

    async def answer(request: Request) -> Response:
        return Response(200 if reads else 429, [], await request.body.read_all() if reads else [])

    async with connected(answer) as it:
        it.client.send(b"POST / HTTP/1.1\r\nHost: f\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        received = await receive(it.client)
        if not reads:
            assert received.startswith(b"HTTP/1.1 429 ")
            assert b"Connection: close\r\n" in received
            assert b"100 Continue" not in received
            it.client.send(b"GET /another HTTP/1.1\r\nHost: f\r\n\r\n")
            assert await receive_until_broken(it.client) == b""
        else:
            assert received == b"HTTP/1.1 100 Continue\r\n\r\n"
            it.client.send(b"ok")
            received = await receive(it.client)
            assert b"Connection: close\r\n" not in received
            it.client.send(REQUEST)
            assert (await receive(it.client)).endswith(b"ok")


@pytest.mark.parametrize("rest", [b"", b"no chunk\r\n"], ids=["stalls", "sends garbage"])
async def test_a_response_on_its_way_is_not_cut_off_by_its_request(rest: bytes) -> None:
    size = 16 << 20

    async def answer(request: Request) -> Response:
        return Response(200, [], (bytes(size),))

    async with connected(answer) as it, asyncio.timeout(20):
        now = asyncio.get_running_loop().time()
        it.client.send(b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await until(lambda: it.transport.get_write_buffer_size())
        if rest:
            it.connection.data_received(rest)
        for seconds in (31, 32):
            it.connection.check_time(now + seconds)
        received = 0
        while piece := await receive(it.client):
            received += len(piece)
        assert received > size
