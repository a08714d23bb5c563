"""A machine that vanishes while it works on a request: nobody says so, and the exchange ends anyway."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
import uvloop

from swarmfn.upstream import Upstream, request_head
from swarmfn.upstream.failures import Broken
from tests.support.docker_engine import need_engine
from tests.support.engine_network import EngineNetwork, Plug
from tests.support.machine import Machine

# Reads one request and never answers it.
_MUTE = """
import socket
listener = socket.create_server(("", 8080))
print("ready", flush=True)
connection, _ = listener.accept()
print(connection.recv(65536), flush=True)
connection.recv(1)
"""


@pytest.fixture
def plug() -> Iterator[tuple[Plug, subprocess.Popen[bytes]]]:
    """A machine that takes a request at its port 8080, and its link."""
    need_engine()
    with EngineNetwork() as network:
        machine = Machine("mute")
        plug = network.plug_in(machine.pid)
        server = subprocess.Popen(machine.enter(sys.executable, "-c", _MUTE), stdout=subprocess.PIPE)
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield plug, server
        finally:
            machine.end()
            server.wait()
            server.stdout.close()


def test_an_exchange_with_a_vanished_machine_ends_though_no_deadline_is_set(
    plug: tuple[Plug, subprocess.Popen[bytes]],
) -> None:
    link, server = plug

    async def run() -> None:
        upstream = Upstream(silence_limit=4)
        head = request_head("GET", b"/", link.address, [])
        exchange = asyncio.create_task(upstream.exchange(f"{link.address}:8080", head))
        assert server.stdout is not None
        assert b"GET" in await asyncio.to_thread(server.stdout.readline)
        link.cut()
        with pytest.raises(Broken):
            await asyncio.wait_for(exchange, 60)
        await upstream.close()

    # The loop of gateway and worker.
    uvloop.run(run())
