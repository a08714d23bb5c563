"""Whole exchanges: framing of answers, reuse of connections."""

from __future__ import annotations

import asyncio
import socket

import pytest

from swarmfn.upstream import Broken, NotSent, Response, Upstream, request_head
from tests.support.scripted_server import Peer, Script, ScriptedServer, eventually
from tests.support.upstream_stage import Play, Runner

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = request_head("GET", b"/", "echo", [])
HEAD = request_head("HEAD", b"/", "echo", [])


def answers(*raw: bytes) -> Script:
    """Answers each request of a connection with the next of `raw`, then closes it."""

    async def script(peer: Peer) -> None:
        for answer in raw:
            head, _ = await peer.request()
            if not head:
                return
            await peer.send(answer)

    return script


def always(raw: bytes) -> Script:
    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.send(raw)

    return script


async def get(upstream: Upstream, server: ScriptedServer) -> tuple[Response, bytes]:
    response = await upstream.exchange(server.address, GET)
    return response, await response.read()


def test_request_and_answer_arrive_as_they_were_sent(play: Play) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(b"HTTP/1.1 404 Nope\r\nX-b: 1\r\nX-A:  two\r\nx-B:\r\nContent-Length: 3\r\n\r\nno!")

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        head = request_head("POST", b"/x?y", "echo", [(b"Content-Length", b"5")])
        response = await upstream.exchange(server.address, head, b"hello")
        assert response.status == 404
        assert response.headers == [(b"X-b", b"1"), (b"X-A", b"two"), (b"x-B", b""), (b"Content-Length", b"3")]
        assert response.address == server.address
        assert await response.read() == b"no!"
        assert seen == [(head, b"hello")]

    play(scenario, script)


def test_a_small_answer_is_complete_with_its_head(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert response.is_complete
        assert response.complete_body() == b"ok"
        assert response.complete_body() == b""
        assert await response.read() == b""

    play(scenario, always(OK))


def test_an_answer_that_is_not_all_there_has_no_complete_body(play: Play) -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK[:-1])
        await go_on.wait()
        await peer.send(OK[-1:])
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert response.complete_body() is None
        assert await response.next_chunk() == b"o"
        go_on.set()
        assert await response.next_chunk() == b"k"
        assert response.is_complete
        assert await response.next_chunk() == b""

    play(scenario, script)


@pytest.mark.parametrize("size", [1, 3])
def test_an_answer_may_come_in_pieces_of_any_size(play: Play, size: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-Name: value\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            for start in range(0, len(raw), size):
                await peer.send(raw[start : start + size])
                await asyncio.sleep(0)

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(2):
            response, body = await get(upstream, server)
            assert body == b"abcde"
            assert response.headers == [(b"X-Name", b"value"), (b"Transfer-Encoding", b"chunked")]
        assert server.accepted == 1

    play(scenario, script)


def test_connections_are_used_again_and_say_so(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        assert [(await get(upstream, server))[0].is_reused for _ in range(5)] == [False, True, True, True, True]
        assert server.accepted == 1
        await asyncio.gather(*(get(upstream, server) for _ in range(10)))
        await asyncio.gather(*(get(upstream, server) for _ in range(10)))
        assert server.accepted <= 10

    play(scenario, always(OK))


REUSABLE = {
    "length": (GET, OK, b"ok"),
    "empty": (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "chunked": (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
    "trailers": (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", b"ok"),
    "204": (GET, b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", b""),
    "no reason": (GET, b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "1.0 keep-alive": (GET, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "HEAD": (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b""),
    "HEAD, chunked": (HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
    "HEAD, no length": (HEAD, b"HTTP/1.1 200 OK\r\n\r\n", b""),
    "HEAD, 204": (HEAD, b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "informational": (GET, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
    "informational, HEAD": (
        HEAD,
        b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"",
    ),
}


@pytest.mark.parametrize("case", REUSABLE)
def test_the_connection_is_used_again_after_an_answer_with_an_end(play: Play, case: str) -> None:
    head, raw, body = REUSABLE[case]

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(3):
            response = await upstream.exchange(server.address, head, method_is_head=head is HEAD)
            assert response.status in (200, 204, 304)
            assert (b"Link", b"x") not in response.headers
            assert await response.read() == body
        assert server.accepted == 1

    play(scenario, always(raw))


CLOSING = {
    "close": (GET, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "close, chunked": (
        GET,
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"",
    ),
    "1.0": (GET, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "HEAD, close": (HEAD, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", b""),
    "HEAD, 1.0": (HEAD, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", b""),
    "body after HEAD": (HEAD, OK, b""),
    "body after 204": (GET, b"HTTP/1.1 204 No Content\r\n\r\nok", b""),
    "too much": (GET, OK + b"x", b"ok"),
    "two answers": (GET, OK + OK, b"ok"),
    "garbage behind": (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\0", b""),
}


@pytest.mark.parametrize("case", CLOSING)
def test_the_connection_is_closed_after_an_answer_that_forbids_reuse(play: Play, case: str) -> None:
    head, raw, body = CLOSING[case]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        await peer.closed()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        async def exchange(count: int) -> None:
            response = await upstream.exchange(server.address, head, method_is_head=head is HEAD)
            assert await response.read() == body
            await eventually(lambda: server.finished == count)

        await exchange(1)
        await exchange(2)
        assert server.accepted == 2

    play(scenario, script)


def test_an_answer_without_a_length_ends_with_the_connection(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for _ in range(2):
            _, body = await get(upstream, server)
            assert body == b"all of it"
        assert server.accepted == 2

    play(scenario, answers(b"HTTP/1.1 200 OK\r\n\r\nall of it"))


def test_an_answer_in_another_transfer_coding_ends_with_the_connection(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        assert (await get(upstream, server))[1] == b"zipped"

    play(scenario, answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzipped"))


TRUNCATED = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npart",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\npart\r\n",
    "in the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\nX-T",
    "malformed chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nxyz\r\n",
}


@pytest.mark.parametrize("case", TRUNCATED)
def test_a_truncated_body_is_handed_out_and_then_broken(play: Play, case: str) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert response.status == 200
        assert await response.next_chunk() == b"part"
        with pytest.raises(Broken, match=server.address) as caught:
            await response.next_chunk()
        assert not caught.value.is_reused
        assert response.complete_body() is None
        with pytest.raises(Broken):
            await response.read()

    play(scenario, answers(TRUNCATED[case]))


MALFORMED = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nX-",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw",
    "101 without upgrade": b"HTTP/1.1 101 Switching\r\n\r\nraw",
    "informational with a body": b"HTTP/1.1 104 Odd\r\nContent-Length: 9\r\n\r\npart",
    "only informational": b"HTTP/1.1 100 Continue\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X-Name: value\r\n" * 20_000,
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"v" * 300_000,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_no_proper_answer_is_broken(play: Play, case: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        try:
            await peer.send(MALFORMED[case])
        except ConnectionError:
            return

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(Broken, match=server.address) as caught:
            await upstream.exchange(server.address, GET)
        assert not caught.value.is_reused

    play(scenario, script)


def test_endless_trailers_are_broken(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n")
        try:
            while True:
                await peer.send(b"X-Name: value\r\n" * 100)
        except ConnectionError:
            return

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        with pytest.raises(Broken, match="headers"):
            await response.read()
        await eventually(lambda: server.finished == 1)

    play(scenario, script)


def test_a_body_of_many_tiny_chunks_is_not_taken_for_headers(play: Play) -> None:
    chunk = b"1\r\nx\r\n" * 50_000

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        assert (await get(upstream, server))[1] == b"x" * 200_000

    play(scenario, answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4 + b"0\r\n\r\n"))


def test_a_reset_before_the_answer_is_broken(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(Broken, match="before answering") as caught:
            await upstream.exchange(server.address, GET)
        assert not caught.value.is_reused

    play(scenario, script)


def test_a_reset_in_a_body_that_ends_with_the_connection_is_broken(play: Play) -> None:
    received = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        await received.wait()
        peer.reset()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        response = await upstream.exchange(server.address, GET)
        assert await response.next_chunk() == b"part"
        received.set()
        with pytest.raises(Broken, match="in the middle"):
            await response.next_chunk()

    play(scenario, script)


def test_a_connection_that_the_replica_closed_while_idle_is_not_used(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        for count in (1, 2, 3):
            response, body = await get(upstream, server)
            assert body == b"ok"
            assert not response.is_reused
            await eventually(lambda: not upstream.idle_connections)
            assert server.accepted == count

    play(scenario, answers(OK))


def test_a_connection_on_which_the_replica_spoke_unasked_is_not_used(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        first.set()
        await released.wait()
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
        await peer.closed()

    first, released = asyncio.Event(), asyncio.Event()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await get(upstream, server)
        assert upstream.idle_connections == 1
        released.set()
        await eventually(lambda: server.finished == 1)
        assert upstream.idle_connections == 0

    play(scenario, script)


def test_losing_the_keep_alive_race_says_that_the_connection_was_reused(play: Play) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        peer.reset()

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await get(upstream, server)
        with pytest.raises(Broken) as caught:
            await get(upstream, server)
        assert caught.value.is_reused

    play(scenario, script)


def test_a_reused_connection_lost_in_the_head_of_the_answer_is_no_keep_alive_race(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        await get(upstream, server)
        with pytest.raises(Broken) as caught:
            await get(upstream, server)
        assert not caught.value.is_reused

    play(scenario, answers(OK, b"HTTP/1.1 2"))


def test_a_refused_connection_is_not_sent(play: Play) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with socket.socket() as unlistened:
            unlistened.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unlistened.getsockname()[1]}"
            with pytest.raises(NotSent, match=f"{address} refused"):
                await upstream.exchange(address, GET)

    play(scenario, always(OK))


@pytest.mark.parametrize(
    "address", ["", "echo", "echo:", "echo:http", ":80", "echo:0", "echo:65536", "::1:80", "a" * 70 + ":80"]
)
def test_an_address_that_is_none_is_not_sent(play: Play, address: str) -> None:
    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        with pytest.raises(NotSent, match="cannot be reached"):
            await upstream.exchange(address, GET)

    play(scenario, always(OK))


def test_ipv6_addresses_are_in_brackets(runner: Runner) -> None:
    async def scenario() -> None:
        async with ScriptedServer(always(OK), host="::1") as server:
            upstream = Upstream()
            response = await upstream.exchange(server.address, GET)
            assert response.complete_body() == b"ok"
            await upstream.close()

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as exc:
        pytest.skip(f"no IPv6 loopback here: {exc}")
    runner(scenario())
