"""Exchanges that are ended: by deadline, cancellation, abort, limits, or the client's close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import socket
import tracemalloc
import weakref

import pytest

from swarmfn.upstream import BodyTooLarge, Broken, DeadlinePassed, NotSent, Response, Upstream, request_head
from swarmfn.upstream.response import HIGH_WATER
from tests.support.scripted_server import Peer, Script, ScriptedServer, eventually
from tests.support.upstream_stage import Play, Runner

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = request_head("GET", b"/", "echo", [])
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"


def silent_after(raw: bytes) -> Script:
    """Answers with `raw` and then says nothing until the client closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        await peer.closed()

    return script


async def always_ok(peer: Peer) -> None:
    while (await peer.request())[0]:
        await peer.send(OK)


def gushing(size: int, piece: int = 1 << 20) -> Script:
    """Answers with a body of `size` bytes, as fast as the client takes it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        with contextlib.suppress(ConnectionError):
            for _ in range(size // piece):
                await peer.send(bytes(piece))

    return script


def soon(seconds: float = 0.05) -> float:
    return asyncio.get_running_loop().time() + seconds


async def closed_by_client(server: ScriptedServer) -> None:
    await eventually(lambda: server.finished == 1)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nX-"])
def test_a_deadline_that_passes_before_the_head_closes_the_connection(play: Play, raw: bytes) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        deadline = soon(1.5)  # time enough for a busy machine to connect
        with pytest.raises(DeadlinePassed, match=f"{server.address} did not answer in time"):
            await upstream.exchange(server.address, GET, deadline=deadline)
        assert asyncio.get_running_loop().time() >= deadline - 0.001
        await closed_by_client(server)

    play(scenario, silent_after(raw))


def test_a_deadline_that_passes_in_the_body_closes_the_connection(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET, deadline=soon(0.3))
        assert await response.next_chunk() == b"part"
        with pytest.raises(DeadlinePassed, match="finish its answer"):
            await response.next_chunk()
        await closed_by_client(server)

    play(scenario, silent_after(PART))


def test_a_deadline_counts_while_nobody_reads(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET, deadline=soon(0.3))
        await closed_by_client(server)
        with pytest.raises(DeadlinePassed):
            await response.read()

    play(scenario, silent_after(PART))


class Held:
    """Stands for a large body."""


@pytest.mark.parametrize("raw", [b"", PART], ids=["before the head", "in the body"])
def test_what_a_failed_exchange_held_is_free_at_once(play: Play, raw: bytes) -> None:
    """Not when Python next looks for garbage in cycles, which takes no account of its size."""

    async def fail(upstream: Upstream, server: ScriptedServer) -> weakref.ref[Held]:
        held = Held()
        with contextlib.suppress(DeadlinePassed):
            await hold(held, upstream, server)
        return weakref.ref(held)

    async def hold(held: Held, upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET, deadline=soon(0.3))
        await response.read()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        gc.disable()
        try:
            kept = await fail(upstream, server)
            assert kept() is None
        finally:
            gc.enable()

    play(scenario, silent_after(raw))


def test_a_deadline_in_the_past_sends_nothing(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(DeadlinePassed):
            await upstream.exchange(server.address, GET, deadline=soon(-1))
        assert server.accepted == 0

    play(scenario, always_ok)


def test_each_exchange_on_a_connection_has_its_own_deadline(play: Play) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(4):
            await peer.request()
            await peer.send(OK)
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        now = asyncio.get_running_loop().time
        # A far deadline, then a near one: its passing must end neither the idle connection nor a later exchange.
        for seconds in (60, 0.3):
            assert (await upstream.exchange(server.address, GET, deadline=soon(seconds))).complete_body() == b"ok"
        near = soon(0.31)
        await eventually(lambda: now() > near)
        assert upstream.idle_connections == 1
        for deadline in (soon(60), None):
            assert (await upstream.exchange(server.address, GET, deadline=deadline)).complete_body() == b"ok"
        assert server.accepted == 1
        deadline = soon(0.05)
        with pytest.raises(DeadlinePassed):
            await upstream.exchange(server.address, GET, deadline=deadline)
        assert now() >= deadline - 0.001

    play(scenario, script)


def test_connecting_is_given_up_after_connect_timeout_or_at_the_deadline(runner: Runner) -> None:
    async def scenario() -> None:
        # A listener whose queue is full takes no more connections, and Linux lets the others wait.
        with contextlib.ExitStack() as stack:
            address = _full_listener(stack)
            upstream = Upstream(connect_timeout=0.1)
            with pytest.raises(NotSent, match=f"{address} could not be reached in 0.1 s"):
                await upstream.exchange(address, GET)
            with pytest.raises(DeadlinePassed, match="could not be reached before the deadline"):
                await upstream.exchange(address, GET, deadline=soon())
            connecting = asyncio.ensure_future(upstream.exchange(address, GET))
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await upstream.close()

    runner(scenario())


def _full_listener(stack: contextlib.ExitStack) -> str:
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(8):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nX-"])
def test_cancelling_the_wait_for_the_head_closes_the_connection(play: Play, raw: bytes) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        exchange = asyncio.ensure_future(upstream.exchange(server.address, GET))
        await eventually(lambda: server.accepted and upstream.open_connections)
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        await closed_by_client(server)

    play(scenario, silent_after(raw))


@pytest.mark.parametrize("reader", ["read", "chunks", "next_chunk"])
def test_cancelling_a_reader_closes_the_connection(play: Play, reader: str) -> None:
    async def read(response: Response, begun: asyncio.Event) -> None:
        assert await response.next_chunk() == b"part"
        begun.set()
        if reader == "chunks":
            async for _ in response.chunks():
                pass
        else:
            await getattr(response, reader)()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        begun = asyncio.Event()
        reading = asyncio.ensure_future(read(response, begun))
        await begun.wait()
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await closed_by_client(server)

    play(scenario, silent_after(PART))


def test_cancelling_just_as_the_answer_arrives_leaves_no_connection_in_doubt(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        # Whatever the turn of the loop in which the cancellation comes, the next exchange must get its own answer.
        for turns in range(40):
            exchange = asyncio.ensure_future(upstream.exchange(server.address, GET))
            for _ in range(turns):
                await asyncio.sleep(0)
            exchange.cancel()
            await asyncio.wait([exchange])
            response = await upstream.exchange(server.address, GET)
            assert (response.status, await response.read()) == (200, b"ok")

    play(scenario, always_ok)


def test_abort_closes_the_connection_and_wakes_the_reader(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert await response.next_chunk() == b"part"
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        response.abort()
        response.abort()
        with pytest.raises(Broken, match="cut off by this side"):
            await reading
        await closed_by_client(server)

    play(scenario, silent_after(PART))


def test_abort_after_the_end_does_nothing(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(3):
            response = await upstream.exchange(server.address, GET)
            response.abort()
            assert response.complete_body() == b"ok"
        assert server.accepted == 1

    play(scenario, always_ok)


def test_leaving_chunks_early_closes_the_connection(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        async for data in response.chunks():
            assert data == b"part"
            break
        await closed_by_client(server)

    play(scenario, silent_after(PART))


def test_two_readers_at_once_are_refused(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert await response.next_chunk() == b"part"
        reading = asyncio.ensure_future(response.next_chunk())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await response.next_chunk()
        response.abort()
        with pytest.raises(Broken):
            await reading

    play(scenario, silent_after(PART))


@pytest.mark.parametrize(("limit", "fits"), [(None, True), (4_000_000, True), (3_999_999, False), (0, False)])
def test_reading_over_a_limit_is_refused_with_what_had_come(play: Play, limit: int | None, fits: bool) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        if fits:
            assert len(await response.read(limit)) == 4_000_000
            return
        with pytest.raises(BodyTooLarge, match=f"more than {limit} bytes") as caught:
            await response.read(limit)
        assert limit is not None
        assert limit < len(caught.value.received) <= 4_000_000
        assert caught.value.limit == limit

    play(scenario, gushing(4_000_000, 500_000))


def test_a_small_body_over_the_limit_is_refused_and_the_connection_kept(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        with pytest.raises(BodyTooLarge) as caught:
            await response.read(1)
        assert caught.value.received == b"ok"
        assert upstream.idle_connections == 1

    play(scenario, always_ok)


def test_a_replica_waits_for_a_reader_that_does_not_read(play: Play) -> None:
    size = 64 << 20

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        await eventually(lambda: response.unread > HIGH_WATER)
        held = response.unread
        for _ in range(500):
            await asyncio.sleep(0)
        assert response.unread == held < HIGH_WATER + (1 << 20)
        assert server.finished == 0
        assert len(await response.read()) == size

    play(scenario, gushing(size))


def test_a_paused_connection_is_used_again_once_its_answer_is_read(play: Play) -> None:
    size = HIGH_WATER + 1

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size)))

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        async def exchange() -> None:
            response = await upstream.exchange(server.address, GET)
            await eventually(lambda: response.unread > HIGH_WATER)
            assert len(await response.read()) == size

        for _ in range(3):
            await exchange()
        assert server.accepted == 1

    play(scenario, script)


def test_a_large_body_passes_in_little_memory(play: Play) -> None:
    size = 128 << 20

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        tracemalloc.start()
        try:
            total = 0
            async for data in response.chunks():
                total += len(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert total == size
        assert peak < 16 << 20

    play(scenario, gushing(size))


def test_an_idle_connection_is_closed_after_idle_timeout(runner: Runner) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok) as server:
            upstream = Upstream(idle_timeout=0.05)
            await upstream.exchange(server.address, GET)
            assert upstream.idle_connections == 1
            await closed_by_client(server)
            assert upstream.open_connections == upstream.idle_connections == 0
            await upstream.exchange(server.address, GET)
            assert server.accepted == 2
            await upstream.close()

    runner(scenario())


def test_unused_connections_are_closed_before_many_servers_close_them() -> None:
    """They do after five seconds, and what is sent at that moment is lost."""
    assert inspect.signature(Upstream).parameters["idle_timeout"].default < 5


def test_no_more_than_max_idle_connections_are_kept_per_address(runner: Runner) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok) as first, ScriptedServer(always_ok) as second:
            upstream = Upstream(max_idle=3)
            for server in (first, second):
                await asyncio.gather(*(upstream.exchange(server.address, GET) for _ in range(8)))
            assert upstream.idle_connections == 6
            await eventually(lambda: upstream.open_connections == 6)
            await upstream.close()

    runner(scenario())


def test_close_ends_idle_connections_and_exchanges_and_refuses_more(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await asyncio.gather(*(upstream.exchange(server.address, GET) for _ in range(2)))
        waiting = asyncio.ensure_future(upstream.exchange(server.address, GET))
        await asyncio.sleep(0)
        await upstream.close()
        assert upstream.open_connections == 0
        with pytest.raises(Broken, match="cut off"):
            await waiting
        with pytest.raises(NotSent, match="closed"):
            await upstream.exchange(server.address, GET)
        await upstream.close()

    play(scenario, script)
