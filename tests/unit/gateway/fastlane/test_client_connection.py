"""What happens to a connection whose client sends something that cannot be read."""

from __future__ import annotations

import asyncio

from gateway.fastlane.exchange import Exchange
from tests.support.fast_lane import all_of, talk

GET = b"GET /function/echo HTTP/1.1\r\nHost: x\r\n\r\n"


def test_an_answer_takes_longer_than_the_time_of_a_request_after_it_that_cannot_be_read() -> None:
    read_timeout = 0.1

    async def app(exchange: Exchange) -> None:
        await asyncio.sleep(4 * read_timeout)
        await exchange.answer(200, [(b"Content-Length", b"5")], b"whole")

    async def send_two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET + b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        return await all_of(reader)

    assert talk(app, send_two, read_timeout).endswith(b"\r\n\r\nwhole")
