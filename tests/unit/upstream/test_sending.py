"""Request bodies on their way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from swarmfn.upstream import Broken, Upstream, request_head
from tests.support.scripted_server import Peer, ScriptedServer, eventually
from tests.support.upstream_stage import Play

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = request_head("POST", b"/", "echo", [(b"Transfer-Encoding", b"chunked")])


def measured(length: int) -> bytes:
    return request_head("POST", b"/", "echo", [(b"content-length", b"%d" % length)])


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        await asyncio.sleep(0)
        yield piece


class Endless:
    """A body that goes on for as long as it is asked; counts what it gave."""

    def __init__(self, size: int = 65536) -> None:
        self.given = 0
        self.was_cancelled = False
        self._piece = b"x" * size

    async def stream(self) -> AsyncIterator[bytes]:
        try:
            while True:
                await asyncio.sleep(0)
                self.given += len(self._piece)
                yield self._piece
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def echo(peer: Peer) -> None:
    """Answers each request with its own body."""
    while True:
        head, body = await peer.request()
        if not head:
            return
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_a_streamed_body_arrives_in_chunks(play: Play) -> None:
    raw = b""

    async def script(peer: Peer) -> None:
        nonlocal raw
        await peer.head()
        while not raw.endswith(b"0\r\n\r\n"):
            raw += await peer.read(65536)
        await peer.send(OK)
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        body = pieces(b"hello", b"", b"x" * 16)
        response = await upstream.exchange(server.address, CHUNKED, body, chunked=True)
        assert response.complete_body() == b"ok"
        assert raw == b"5\r\nhello\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
        assert upstream.idle_connections == 1

    play(scenario, script)


@pytest.mark.parametrize("body", [b"", b"hello", b"x" * 1_000_000])
def test_bytes_can_be_sent_as_chunked(play: Play, body: bytes) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(2):
            response = await upstream.exchange(server.address, CHUNKED, body, chunked=True)
            assert await response.read() == body
        assert server.accepted == 1

    play(scenario, echo)


def test_a_streamed_body_with_a_length_goes_as_it_is(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for body in ([b"hello ", b"", b"world"], [b"hello world"], [b"h", b"ello worl", b"d"]):
            response = await upstream.exchange(server.address, measured(11), pieces(*body))
            assert await response.read() == b"hello world"
        response = await upstream.exchange(server.address, measured(0), pieces())
        assert await response.read() == b""
        assert server.accepted == 1

    play(scenario, echo)


@pytest.mark.parametrize("size", [65_536, 65_537, 5_000_000])
def test_large_bodies_pass_both_ways(play: Play, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"y" * (size % 256)

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(2):
            response = await upstream.exchange(server.address, measured(size), body)
            assert await response.read() == body
        parts = [body[start : start + 100_000] for start in range(0, size, 100_000)]
        response = await upstream.exchange(server.address, measured(size), pieces(*parts))
        assert await response.read() == body
        assert server.accepted == 1

    play(scenario, echo)


@pytest.mark.parametrize(
    ("body", "problem"), [((b"hell",), "1 bytes short"), ((b"hello", b"!"), "longer"), ((), "5 bytes")]
)
def test_a_streamed_body_of_another_length_breaks_the_connection(
    play: Play, body: tuple[bytes, ...], problem: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(ValueError, match=problem):
            await upstream.exchange(server.address, measured(5), pieces(*body))
        await eventually(lambda: server.finished == 1)

    play(scenario, script)


def test_a_streamed_body_without_an_end_is_refused_before_anything_is_sent(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(ValueError, match="Content-Length or chunked"):
            await upstream.exchange(server.address, request_head("POST", b"/", "echo", []), pieces(b"x"))
        assert server.accepted == 0

    play(scenario, echo)


def test_what_the_body_raises_comes_out_of_the_exchange_and_closes_the_connection(play: Play) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"hel"
        raise LookupError("the client went away")

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(LookupError, match="the client went away"):
            await upstream.exchange(server.address, CHUNKED, failing(), chunked=True)
        await eventually(lambda: server.finished == 1)

    play(scenario, script)


def test_what_the_body_raises_after_the_head_of_the_answer_comes_out_of_reading(play: Play) -> None:
    go_on = asyncio.Event()

    async def failing() -> AsyncIterator[bytes]:
        yield b"hel"
        await go_on.wait()
        raise LookupError("the client went away")

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, CHUNKED, failing(), chunked=True)
        go_on.set()
        with pytest.raises(LookupError, match="the client went away"):
            await response.read()
        await eventually(lambda: server.finished == 1)

    play(scenario, script)


def test_a_cancelled_body_breaks_the_exchange_without_cancelling_its_caller(play: Play) -> None:
    async def cancelled() -> AsyncIterator[bytes]:
        yield b"hel"
        raise asyncio.CancelledError

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(Broken, match="cancelled"):
            await upstream.exchange(server.address, CHUNKED, cancelled(), chunked=True)

    play(scenario, script)


def test_a_body_is_sent_no_faster_than_the_replica_takes_it(play: Play) -> None:
    go_on = asyncio.Event()
    received = 0

    async def script(peer: Peer) -> None:
        nonlocal received
        await peer.head()
        await go_on.wait()
        while received < 32 * 1024 * 1024:
            received += len(await peer.read(1 << 20))
        await peer.send(OK)

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        body = Endless()
        exchange = asyncio.ensure_future(upstream.exchange(server.address, CHUNKED, body.stream(), chunked=True))
        before = -1
        while body.given != before:  # until a hundred turns of the loop bring no more
            before = body.given
            for _ in range(100):
                await asyncio.sleep(0)
        stalled = body.given
        assert 0 < stalled < 32 * 1024 * 1024
        go_on.set()
        response = await exchange
        assert await response.read() == b"ok"
        assert body.given > stalled

    play(scenario, script)


def test_an_early_complete_answer_is_delivered_and_stops_the_sending(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        body = Endless()
        response = await upstream.exchange(server.address, CHUNKED, body.stream(), chunked=True)
        assert response.status == 413
        assert await response.read() == b"no!"
        await eventually(lambda: body.was_cancelled and server.finished == 1)
        assert upstream.open_connections == 0

    play(scenario, script)


def test_an_early_answer_while_the_body_is_waited_for_closes_the_connection(play: Play) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"hello"
        await asyncio.Event().wait()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.read(65536)
        await peer.send(OK)
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, measured(9), slow())
        assert await response.read() == b"ok"
        # The replica still waits for four bytes: the next request must not be what it gets.
        assert upstream.idle_connections == 0
        await eventually(lambda: server.finished == 1)

    play(scenario, script)


def test_an_early_answer_to_bytes_still_being_written_is_delivered_and_the_connection_not_reused(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await done.wait()

    done = asyncio.Event()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        size = 64 * 1024 * 1024
        response = await upstream.exchange(server.address, measured(size), bytes(size))
        assert (response.status, await response.read()) == (413, b"no!")
        assert upstream.idle_connections == 0
        await eventually(lambda: upstream.open_connections == 0)
        done.set()

    play(scenario, script)


def test_a_refusal_that_closes_the_connection_stops_the_sending_at_its_head(play: Play) -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 401 No\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n")
        await go_on.wait()
        await peer.send(b"1\r\n!\r\n0\r\n\r\n")
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        body = Endless()
        response = await upstream.exchange(server.address, CHUNKED, body.stream(), chunked=True)
        assert response.status == 401
        await eventually(lambda: body.was_cancelled)
        go_on.set()
        assert await response.read() == b"no!"

    play(scenario, script)


def test_request_and_answer_stream_at_the_same_time(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (data := await peer.read(65536)) != b"0\r\n\r\n":
            await peer.send(data)  # each chunk as it was framed
        await peer.send(data)
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        turn: asyncio.Queue[bytes] = asyncio.Queue()

        async def body() -> AsyncIterator[bytes]:
            while data := await turn.get():
                yield data

        response = await upstream.exchange(server.address, CHUNKED, body(), chunked=True)
        for word in (b"one", b"two", b"three"):
            turn.put_nowait(word)
            assert await response.next_chunk() == word
        turn.put_nowait(b"")
        assert await response.next_chunk() == b""
        await eventually(lambda: upstream.idle_connections == 1)

    play(scenario, script)


def test_cancelling_an_exchange_stops_its_body_and_closes_the_connection(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        body = Endless()
        exchange = asyncio.ensure_future(upstream.exchange(server.address, CHUNKED, body.stream(), chunked=True))
        await eventually(lambda: body.given)
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        await eventually(lambda: body.was_cancelled and server.finished == 1)

    play(scenario, script)
