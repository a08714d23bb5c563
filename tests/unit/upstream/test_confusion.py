"""No caller ever gets another caller's answer, whatever is cancelled, aborted or closed in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator

import pytest

from swarmfn.upstream import Upstream, UpstreamFailure, request_head
from tests.support.scripted_server import Peer, Script, ScriptedServer
from tests.support.upstream_stage import Play


def moody(chance: random.Random) -> Script:
    """A server that answers with the request's X-Number and body, in every framing, in pieces, and sometimes not."""

    async def script(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head, body = await peer.request()
                number = re.search(rb"X-Number: (\d+)\r\n", head)
                if number is None:
                    return
                mood = chance.random()
                if mood < 0.03:
                    return
                if mood < 0.06:
                    peer.reset()
                    return
                raw = _answer(chance, number[1] + b":" + body)
                while raw:
                    size = chance.choice((20, 60, 1000, 100_000))
                    await peer.send(raw[:size])
                    raw = raw[size:]
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)

    return script


def _answer(chance: random.Random, body: bytes) -> bytes:
    close = b"Connection: close\r\n" if chance.random() < 0.1 else b""
    stray = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray" if chance.random() < 0.05 else b""
    hint = b"HTTP/1.1 103 Hint\r\nX: y\r\n\r\n" if chance.random() < 0.2 else b""
    if chance.random() < 0.5:
        return hint + b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (close, len(body), body) + stray
    middle = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part)
    return hint + b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (close, chunks) + stray


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    size = max(7, len(body) // 20)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(0)


async def one_call(upstream: Upstream, address: str, number: int, chance: random.Random) -> bool:
    """Whether an answer came; it must be this call's own."""
    body = b"%d" % number * chance.choice((1, 10, 5000))
    streamed = chance.random() < 0.3
    framing = (b"Transfer-Encoding", b"chunked") if streamed else (b"Content-Length", b"%d" % len(body))
    head = request_head("POST", b"/", "echo", [(b"X-Number", b"%d" % number), framing])
    deadline = asyncio.get_running_loop().time() + chance.choice((30, 30, 30, 0.01))
    payload = _in_pieces(body) if streamed else body
    try:
        response = await upstream.exchange(address, head, payload, chunked=streamed, deadline=deadline)
        if chance.random() < 0.1:
            response.abort()
            return False
        assert await response.read() == b"%d:%b" % (number, body)
    except UpstreamFailure:
        return False
    return True


@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_belongs_to_its_request(play: Play, seed: int) -> None:
    chance = random.Random(seed)

    async def scenario(upstream: Upstream, server: ScriptedServer) -> None:
        answered = 0
        for batch in range(0, 400, 20):
            calls = [
                asyncio.ensure_future(one_call(upstream, server.address, number, chance))
                for number in range(batch, batch + 20)
            ]
            for call in chance.sample(calls, 3):
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            unexpected = [r for r in results if not isinstance(r, (bool, asyncio.CancelledError))]
            assert not unexpected
            answered += results.count(True)
        assert answered > 100
        assert 20 < server.accepted < 400  # connections were reused, and closed

    play(scenario, moody(chance))
