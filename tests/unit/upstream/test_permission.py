"""Which addresses are connected to at all."""

from __future__ import annotations

import pytest

from swarmfn.upstream import Names, NotPermitted, NotSent, Upstream, request_head
from tests.support.scripted_server import Peer, ScriptedServer
from tests.support.upstream_stage import Runner

GET = request_head("GET", b"/", "there", [])


class Answering:
    """A server's script that counts who connects."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, peer: Peer) -> None:
        self.connections += 1
        while (await peer.request())[0]:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def port_of(server: ScriptedServer) -> str:
    return server.address.rpartition(":")[2]


def test_an_address_that_is_not_permitted_is_never_connected_to(runner: Runner) -> None:
    async def scenario() -> None:
        script = Answering()
        async with ScriptedServer(script) as there:
            upstream = Upstream(permits=lambda address: address != "127.0.0.1")
            for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"):
                with pytest.raises(NotPermitted):
                    await upstream.exchange(f"{host}:{port_of(there)}", GET)
            assert upstream.open_connections == 0
            await upstream.close()
        assert script.connections == 0

    runner(scenario())


def test_a_name_that_resolves_to_something_else_later_gains_nothing(runner: Runner) -> None:
    """DNS rebinding: the second answer is what is connected to, so it is what is asked about."""

    async def scenario() -> None:
        script = Answering()
        async with ScriptedServer(script) as there:
            answers = iter([("192.0.2.1",), ("127.0.0.1",)])
            names = Names(lambda host: next(answers))
            assert list(await names.addresses("rebinding")) == ["192.0.2.1"]
            names._asked.clear()  # its answer has grown old
            upstream = Upstream(permits=lambda address: address == "192.0.2.1")
            upstream._names = names
            with pytest.raises(NotPermitted):
                await upstream.exchange(f"rebinding:{port_of(there)}", GET)
            await upstream.close()
        assert script.connections == 0

    runner(scenario())


def test_of_several_addresses_only_the_permitted_ones_are_tried(runner: Runner) -> None:
    async def scenario() -> None:
        async with ScriptedServer(Answering()) as there:
            upstream = Upstream(permits=lambda address: address != "127.0.0.2")
            upstream._names = Names(lambda host: ("127.0.0.2", "127.0.0.1"))
            response = await upstream.exchange(f"both:{port_of(there)}", GET)
            assert response.status == 200
            await upstream.close()

    runner(scenario())


def test_it_is_a_failure_before_anything_was_sent() -> None:
    assert issubclass(NotPermitted, NotSent)
