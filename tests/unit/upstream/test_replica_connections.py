"""What connections to replicas are made of: TCP options and TLS."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from swarmfn.upstream import Broken, NotSent, Upstream, request_head
from tests.support.scripted_server import Peer, ScriptedServer
from tests.support.upstream_stage import Play, Runner

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = request_head("GET", b"/", "localhost", [])


async def always_ok(peer: Peer) -> None:
    while (await peer.request())[0]:
        await peer.send(OK)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that signs itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl program is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_connections_do_not_wait_to_fill_packets(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await upstream.exchange(server.address, GET)
        (connection,) = upstream._open
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    play(scenario, always_ok)


def test_nobody_waits_for_an_address_that_is_given_up(play: Play) -> None:
    is_asked: list[asyncio.Event] = []

    async def mute(peer: Peer) -> None:
        await peer.request()
        is_asked[0].set()
        await asyncio.Event().wait()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        is_asked[:] = [asyncio.Event()]
        exchange = asyncio.create_task(upstream.exchange(server.address, GET))
        await is_asked[0].wait()
        upstream.give_up({"another:8080"})
        await asyncio.sleep(0)
        assert not exchange.done()
        upstream.give_up({server.address, "another:8080"})
        with pytest.raises(Broken, match="gone"):
            await exchange
        upstream.give_up({server.address})

    play(scenario, mute)


def test_idle_connections_to_an_address_that_is_given_up_are_not_used_again(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await upstream.exchange(server.address, GET)
        (first,) = upstream._open
        upstream.give_up({server.address})
        assert (await upstream.exchange(server.address, GET)).status == 200
        assert first not in upstream._open

    play(scenario, always_ok)


def test_a_connection_that_is_being_closed_is_not_taken(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await upstream.exchange(server.address, GET)
        (connection,) = upstream._open
        connection.close()
        # The loop has had no turn to tell that it is gone.
        response = await upstream.exchange(server.address, GET)
        assert response.complete_body() == b"ok"
        assert not response.is_reused

    play(scenario, always_ok)


def test_exchanges_over_tls_check_the_certificate_and_reuse_connections(runner: Runner, certificate: Path) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok, tls=server_side(certificate)) as server:
            address = server.address.replace("127.0.0.1", "localhost")
            upstream = Upstream(tls_context=ssl.create_default_context(cafile=str(certificate)))
            for is_reused in (False, True):
                response = await upstream.exchange(address, GET, tls=True)
                assert await response.read() == b"ok"
                assert response.is_reused == is_reused
            await upstream.close()

    runner(scenario())


def test_a_certificate_that_nobody_vouches_for_is_not_sent(runner: Runner, certificate: Path) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always_ok, tls=server_side(certificate)) as server:
            upstream = Upstream()
            with pytest.raises(NotSent, match="certificate"):
                await upstream.exchange(server.address.replace("127.0.0.1", "localhost"), GET, tls=True)
            await upstream.close()

    runner(scenario())


def test_plain_and_tls_connections_to_one_address_are_kept_apart(play: Play) -> None:
    async def script(peer: Peer) -> None:
        if server_of["it"].accepted == 1:
            await always_ok(peer)
        # The second one brings a TLS handshake, which this server does not speak: it closes.

    server_of: dict[str, ScriptedServer] = {}

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        server_of["it"] = server
        await upstream.exchange(server.address, GET)
        assert upstream.idle_connections == 1
        with pytest.raises(NotSent):
            await upstream.exchange(server.address, GET, tls=True)

    play(scenario, script)
