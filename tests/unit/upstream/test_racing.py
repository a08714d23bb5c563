"""Several addresses of one host, by RFC 8305."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from swarmfn.upstream import Names, Upstream, request_head
from swarmfn.upstream.racing import first_of, interleaved
from tests.support.scripted_server import Peer, ScriptedServer
from tests.support.upstream_stage import Runner

Connect = Callable[[str], Coroutine[Any, Any, str]]


@pytest.mark.parametrize(
    ("addresses", "order"),
    [
        (["10.0.0.1"], ["10.0.0.1"]),
        (["fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2"], ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2"]),
        (["10.0.0.1", "fd00::1", "fd00::2", "fd00::3"], ["10.0.0.1", "fd00::1", "fd00::2", "fd00::3"]),
        ([], []),
    ],
)
def test_both_kinds_take_turns_and_the_first_stays_first(addresses: list[str], order: list[str]) -> None:
    assert interleaved(addresses) == order


class Host:
    """Addresses of which `silent` ones never answer, `refusing` ones refuse, and all others take connections."""

    def __init__(self, silent: Sequence[str] = (), refusing: Sequence[str] = ()) -> None:
        self.silent, self.refusing = silent, refusing
        self.asked: list[str] = []
        self.given_up: list[str] = []

    async def connect(self, place: str) -> str:
        self.asked.append(place)
        if place in self.silent:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.append(place)
        if place in self.refusing:
            raise ConnectionRefusedError(f"{place} refuses")
        return f"to {place}"

    def race(self, places: Sequence[str], delay: float = 0.01) -> str:
        discarded: list[str] = []

        async def run() -> str:
            winner = await first_of(places, self.connect, discarded.append, delay)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1
            return winner

        winner = asyncio.run(run())
        assert discarded == []
        return winner


def test_the_first_that_answers_is_taken_and_no_other_asked() -> None:
    host = Host()
    assert host.race(["a", "b"], delay=60) == "to a"
    assert host.asked == ["a"]


def test_a_silent_one_holds_up_the_next_only_for_a_moment_and_is_given_up() -> None:
    host = Host(silent=["a", "b"])
    assert host.race(["a", "b", "c", "d"]) == "to c"
    assert (host.asked, sorted(host.given_up)) == (["a", "b", "c"], ["a", "b"])


def test_one_that_refuses_holds_up_the_next_not_at_all() -> None:
    host = Host(refusing=["a", "b"])
    assert host.race(["a", "b", "c"], delay=60) == "to c"


def test_when_all_have_failed_it_is_the_last_failure() -> None:
    with pytest.raises(ConnectionRefusedError, match="b refuses"):
        Host(refusing=["a", "b"]).race(["a", "b"], delay=60)
    with pytest.raises(OSError, match="no address"):
        Host().race([])


def test_of_two_that_answer_at_once_one_is_discarded() -> None:
    discarded: list[str] = []

    async def connect(place: str) -> str:
        if place == "a":
            await asyncio.sleep(0.05)
        return place

    async def stubborn(place: str) -> str:
        try:
            return await connect(place)
        except asyncio.CancelledError:
            return place  # it was there before it could be stopped

    async def run() -> str:
        winner = await first_of(["a", "b"], stubborn, discarded.append, delay=0.01)
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        await asyncio.sleep(0)
        return winner

    assert asyncio.run(run()) == "b"
    assert discarded == ["a"]


def test_whoever_stops_waiting_leaves_nothing_running() -> None:
    host = Host(silent=["a", "b"])

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await first_of(["a", "b"], host.connect, lambda _: None, delay=0.01)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert sorted(host.given_up) == ["a", "b"]


def test_a_host_one_of_whose_addresses_does_not_answer_is_reached_through_another(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def scenario() -> None:
        async with ScriptedServer(answer) as server:
            port = int(server.address.rpartition(":")[2])
            with silent_listener("127.0.0.2", port):
                upstream = Upstream(connect_timeout=60)
                there = Names(lambda _: ["127.0.0.2", "127.0.0.1"])
                monkeypatch.setattr(upstream, "_names", there)
                response = await upstream.exchange(f"host:{port}", request_head("GET", b"/", "host", []))
                assert response.status == 204
                await upstream.close()

    runner(scenario())


@contextlib.contextmanager
def silent_listener(host: str, port: int) -> Iterator[None]:
    """A port whose queue is full: the kernel drops what asks for a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield
