"""Names that a name server does not answer for, beside others."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from swarmfn.upstream import Names, NotSent, Upstream, request_head
from swarmfn.upstream import names as names_module
from tests.support.scripted_server import Peer, ScriptedServer
from tests.support.upstream_stage import Runner

GET = request_head("GET", b"/", "good", [])


class NameServer:
    """Answers for `good` and hangs for names that begin with `hangs` until it is closed; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._closed = threading.Event()

    def lookup(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("hangs"):
            self._closed.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if host == "good":
            return ("127.0.0.1",)
        if host == "second":
            return ("127.0.0.9", "127.0.0.1")
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def close(self) -> None:
        self._closed.set()


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def asking(lookup: Callable[[str], Sequence[str]], at_once: int = 64, patience: float = 60.0) -> Upstream:
    upstream = Upstream(connect_timeout=20)
    upstream._names = Names(lookup, at_once, patience)
    return upstream


async def always_ok(peer: Peer) -> None:
    while (await peer.request())[0]:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(("at_once", "patience"), [(64, 60.0), (4, 0.01)], ids=["as many as may", "more"])
def test_names_that_hang_hold_up_no_other(runner: Runner, server: NameServer, at_once: int, patience: float) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok) as there:
            upstream = asking(server.lookup, at_once, patience)
            hanging = [asyncio.create_task(upstream.exchange(f"hangs{number}:80", GET)) for number in range(30)]
            while len(server.asked) < 30:  # noqa: ASYNC110, another thread counts
                await asyncio.sleep(0.001)
            response = await upstream.exchange(there.address.replace("127.0.0.1", "good"), GET)
            assert response.status == 200
            assert not any(task.done() for task in hanging)
            server.close()
            for result in await asyncio.gather(*hanging, return_exceptions=True):
                assert isinstance(result, NotSent)
            await upstream.close()

    runner(scenario())


def test_who_does_not_wait_is_told_at_once_that_others_are_before_it(runner: Runner, server: NameServer) -> None:
    async def scenario() -> None:
        names = Names(server.lookup, at_once=2, patience=60.0)
        assert await names.addresses("good", waits=False) == ("127.0.0.1",)
        hanging = [asyncio.create_task(names.addresses(f"hangs{number}", waits=False)) for number in range(2)]
        while len(server.asked) < 3:  # noqa: ASYNC110, another thread counts
            await asyncio.sleep(0.001)
        with pytest.raises(OSError, match="too many names"):
            await names.addresses("second", waits=False)
        assert await names.addresses("good", waits=False) == ("127.0.0.1",)  # it is known
        server.close()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert await names.addresses("second", waits=False) == ("127.0.0.9", "127.0.0.1")

    runner(scenario())


def test_a_thread_that_cannot_be_started_is_an_oserror(
    runner: Runner, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="good cannot be looked up: can't start new thread"):
            await Names(server.lookup).addresses("good")

    runner(scenario())


def test_a_name_is_looked_up_once_for_all_who_ask_and_one_may_give_up(runner: Runner, server: NameServer) -> None:
    async def scenario() -> None:
        names = Names(server.lookup)
        tasks = [asyncio.create_task(names.addresses("hangs")) for _ in range(10)]
        while not server.asked:  # noqa: ASYNC110, another thread counts
            await asyncio.sleep(0.001)
        tasks.pop().cancel()
        await asyncio.sleep(0)
        server.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {socket.gaierror}
        assert await names.addresses("good") == await names.addresses("good")
        assert server.asked == ["hangs", "good"]

    runner(scenario())


def test_addresses_need_no_lookup(runner: Runner, server: NameServer) -> None:
    async def scenario() -> None:
        names = Names(server.lookup)
        for address in ("10.0.0.1", "::1"):
            assert list(await names.addresses(address)) == [address]

    runner(scenario())
    assert server.asked == []


def test_an_address_that_refuses_is_passed_over_for_the_names_next(runner: Runner, server: NameServer) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok) as there:
            upstream = asking(server.lookup)
            response = await upstream.exchange(there.address.replace("127.0.0.1", "second"), GET)
            assert response.status == 200
            await upstream.close()

    runner(scenario())


@pytest.mark.parametrize("host", ["nobody", "x" * 300 + ".example", "a..b", "\udce4"])
def test_a_name_that_is_none_is_not_sent(runner: Runner, server: NameServer, host: str) -> None:
    async def scenario() -> None:
        for upstream in (asking(server.lookup), Upstream(connect_timeout=20)):
            with pytest.raises(NotSent, match=r"cannot be reached|could not be reached"):
                await upstream.exchange(f"{host}:80", GET)
            await upstream.close()

    runner(scenario())


def test_an_answer_is_asked_for_again_after_a_while(
    runner: Runner, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "_KEPT", 0.01)

    async def scenario() -> None:
        names = Names(server.lookup)
        async with asyncio.timeout(20):
            while server.asked.count("good") < 2:
                await names.addresses("good")
                await asyncio.sleep(0.005)

    runner(scenario())


def test_a_name_that_was_not_found_is_looked_up_again_sooner_than_one_that_was(
    runner: Runner, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names_module._FAILURE_KEPT < names_module._KEPT
    monkeypatch.setattr(names_module, "_KEPT", 3600.0)
    monkeypatch.setattr(names_module, "_FAILURE_KEPT", 0.01)

    async def scenario() -> None:
        names = Names(server.lookup)
        async with asyncio.timeout(20):
            while server.asked.count("nobody") < 3:
                for _ in range(2):  # at the same moment, the second one is answered from memory
                    with pytest.raises(OSError, match="no such name"):
                        await names.addresses("nobody")
                await names.addresses("good")
                await asyncio.sleep(0.005)
        assert server.asked.count("good") == 1

    runner(scenario())
