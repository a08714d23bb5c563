"""mode=http and connections that the function's server closes, with servers that keep to a script."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fwatchdog.http.addresses import HttpAddress
from fwatchdog.http.messages import Request, Response
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.modes.http.mode import HttpMode
from fwatchdog.modes.http.pool import Pool
from fwatchdog.settings import Settings
from tests.support.scripted_server import Peer, Script, ScriptedServer, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(method: str = "GET", body: bytes = b"") -> Request:
    received = RequestBody(lambda: None, lambda: None)
    if body:
        received.push([body])
    received.finish()
    return Request(method, "/", [], len(body), received)


class Running:
    """The mode, without a server of its own: the script is the function's server."""

    def __init__(self, server: ScriptedServer) -> None:
        settings = Settings.load({"fprocess": "none", "mode": "http", "http_upstream_url": f"http://{server.address}"})
        nursery: Any = None  # starts the function's server
        self._mode = HttpMode(settings, nursery, lambda reason: None)

    async def call(self, request: Request) -> Response:
        async with asyncio.timeout(30):
            return await self._mode.run(request, 0)

    async def close(self) -> None:
        await self._mode.close()


async def answer_once(peer: Peer) -> None:
    """Closes the connection just when the second request comes over it."""
    await peer.request()
    await peer.send(OK)
    await peer.request()


async def test_a_connection_that_the_server_closes_as_it_is_used_again_is_replaced() -> None:
    async with ScriptedServer(answer_once) as server:
        running = Running(server)
        for _ in range(3):
            response = await running.call(request())
            assert (response.status, b"".join(response.body)) == (200, b"ok")
        assert server.accepted == 3
        await running.close()


async def test_a_call_that_may_not_be_repeated_is_not() -> None:
    async with ScriptedServer(answer_once) as server:
        running = Running(server)
        assert (await running.call(request())).status == 200
        assert (await running.call(request("POST", b"body"))).status == 502
        assert server.accepted == 1
        await running.close()


async def test_a_server_that_answers_nothing_on_a_new_connection_is_asked_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with ScriptedServer(script) as server:
        running = Running(server)
        assert (await running.call(request())).status == 502
        assert server.accepted == 1
        await running.close()


async def close_at_once(peer: Peer) -> None:
    return


async def stay(peer: Peer) -> None:
    await peer.closed()


@pytest.mark.parametrize(("script", "is_kept"), [(stay, True), (close_at_once, False)])
async def test_a_connection_that_was_closed_while_it_was_unused_is_not_given_out(script: Script, is_kept: bool) -> None:
    async with ScriptedServer(script) as server:
        pool = Pool(HttpAddress.parse(f"http://{server.address}"))
        connection = await pool.connect()
        pool.release(connection)
        if not is_kept:
            await eventually(lambda: not connection.is_open)
        given, is_used = await pool.acquire()
        assert (given is connection, is_used) == (is_kept, is_kept)
        given.close()
        pool.close()


async def test_connections_that_stay_unused_are_closed_each_at_its_time() -> None:
    async with ScriptedServer(stay) as server:
        pool = Pool(HttpAddress.parse(f"http://{server.address}"), idle_time=0.2)
        first, second, third = [await pool.connect() for _ in range(3)]
        pool.release(first)
        await asyncio.sleep(0.1)
        pool.release(second)
        await eventually(lambda: not first.is_open)
        assert second.is_open
        assert third.is_open
        await eventually(lambda: not second.is_open)
        pool.release(third)
        await eventually(lambda: not third.is_open)
        pool.close()


async def test_the_connection_that_was_used_last_is_given_out_first() -> None:
    async with ScriptedServer(stay) as server:
        pool = Pool(HttpAddress.parse(f"http://{server.address}"))
        kept = [await pool.connect() for _ in range(3)]
        for connection in kept:
            pool.release(connection)
        assert [(await pool.acquire())[0] for _ in kept] == kept[::-1]
        for connection in kept:
            pool.release(connection)
        pool.close()
        assert not any(connection.is_open for connection in kept)
