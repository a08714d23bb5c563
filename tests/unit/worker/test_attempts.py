"""One attempt over HTTP, with servers that keep to a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from swarmfn.upstream import Upstream
from swarmfn.wire.replicas import Route
from tests.support.queue_stage import invocation
from tests.support.scripted_server import Peer, Script, ScriptedServer, eventually
from worker.attempts import FunctionCaller
from worker.budget import GrowingBudget
from worker.decisions import Answer, Failure

MOST = 100_000
Call = Callable[[], Awaitable[Answer | Failure]]


def attempt(script: Script, scenario: Callable[[Call, ScriptedServer, FunctionCaller], Awaitable[None]]) -> None:
    """Plays a scenario with one replica."""

    async def play() -> None:
        async with asyncio.timeout(60), ScriptedServer(script) as server:
            upstream = Upstream(idle_timeout=600)
            caller = FunctionCaller(upstream, MOST, 1000, GrowingBudget(10 * MOST))
            table = {"echo": Route("echo", (server.address,), 1, 60.0, "echo")}
            try:
                await scenario(
                    lambda: caller.invoke(table, invocation("a", exec_timeout=60.0), b"in", 1, "a"), server, caller
                )
            finally:
                await upstream.close()

    asyncio.run(play())


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_answer_over_max_response_is_a_hopeless_failure_and_closes_its_connection(is_chunked: bool) -> None:
    """Else a function that answers without end would go on for as long as it likes."""
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000000"
        await peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        piece = bytes(1000)
        for _ in range(1 + MOST // len(piece)):
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        await peer.closed()
        closed.set()

    async def scenario(call: Call, server: ScriptedServer, caller: FunctionCaller) -> None:
        result = await call()
        assert isinstance(result, Failure)
        assert (result.is_hopeless, result.is_answered) == (True, True)
        assert f"more than {MOST} bytes (max_response)" in result.problem
        await closed.wait()

    attempt(script, scenario)


def test_an_answer_of_just_max_response_is_one_and_its_connection_serves_the_next() -> None:
    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MOST + bytes(MOST))

    async def scenario(call: Call, server: ScriptedServer, caller: FunctionCaller) -> None:
        for _ in range(2):
            result = await call()
            assert isinstance(result, Answer)
            assert (result.status, result.size) == (200, MOST)
        assert server.accepted == 1

    attempt(script, scenario)


@pytest.mark.parametrize("has_begun", [False, True], ids=["before the answer", "in the middle of the answer"])
def test_a_cancelled_attempt_closes_its_connection(has_begun: bool) -> None:
    called, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if has_begun:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        called.set()
        await peer.closed()
        closed.set()

    async def scenario(call: Call, server: ScriptedServer, caller: FunctionCaller) -> None:
        running = asyncio.ensure_future(call())
        await called.wait()
        await asyncio.sleep(0.01)
        running.cancel()
        await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await running

    attempt(script, scenario)


def test_a_busy_replica_is_not_given_another_call_while_one_is_free() -> None:
    release = asyncio.Event()

    async def busy(peer: Peer) -> None:
        while (await peer.request())[0]:
            await release.wait()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy")

    async def free(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfree")

    async def scenario() -> None:
        async with asyncio.timeout(60), ScriptedServer(busy) as first, ScriptedServer(free) as second:
            upstream = Upstream(idle_timeout=600)
            caller = FunctionCaller(upstream, MOST, 1000, GrowingBudget(MOST))
            only_busy = {"echo": Route("echo", (first.address,), 1, 60.0, "echo")}
            both = {"echo": Route("echo", (first.address, second.address), 2, 60.0, "echo")}
            waiting = asyncio.create_task(caller.invoke(only_busy, invocation("a"), b"", 1, "a"))
            await eventually(lambda: first.accepted)
            answers = [await caller.invoke(both, invocation("b"), b"", 1, "b") for _ in range(4)]
            assert [answer.body for answer in answers if isinstance(answer, Answer)] == [b"free"] * 4
            release.set()
            await waiting
            # Both are free again: they take turns.
            answers = [await caller.invoke(both, invocation("c"), b"", 1, "c") for _ in range(4)]
            assert sorted(bytes(answer.body) for answer in answers if isinstance(answer, Answer)) == [
                b"busy",
                b"busy",
                b"free",
                b"free",
            ]
            await upstream.close()

    asyncio.run(scenario())


def test_where_no_replica_takes_the_connection_the_platform_has_failed() -> None:
    async def scenario() -> None:
        async with ScriptedServer(lambda peer: peer.closed()) as server:
            address = server.address
        upstream = Upstream(idle_timeout=600)
        caller = FunctionCaller(upstream, MOST, 1000, GrowingBudget(MOST))
        problems = []
        for table in (
            {},
            {"echo": Route("echo", (), 1, 60.0, "echo")},
            {"echo": Route("echo", (address,), 1, 60.0, "echo")},
        ):
            result = await caller.invoke(table, invocation("a"), b"", 1, "a")
            assert isinstance(result, Failure)
            assert (result.is_hopeless, result.is_answered) == (False, False)
            problems.append(result.problem)
        assert problems == [
            "no such function is deployed",
            "it has no healthy replica",
            "its replicas refuse connections",
        ]
        await upstream.close()

    asyncio.run(scenario())
