"""A keep-alive HTTP/1.1 server that reads each request and answers 200 with a few bytes: the cheapest function.

Other benchmarks call it, so that what they measure is the platform. `python benchmarks/noop_server.py --port 0`
prints the address it listens on as its first line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from typing import cast

import httptools
import uvloop


def answer_of(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class NoopServer(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, answer: bytes, delay: float) -> None:
        self.answer = answer
        self.delay = delay
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.transport is not None:
                self.transport.close()

    def on_message_complete(self) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.reply)
        else:
            self.reply()

    def reply(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(self.answer)


async def serve(host: str, port: int, answer: bytes, delay: float) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: NoopServer(answer, delay), host, port, backlog=4096)
    print("{}:{}".format(*server.sockets[0].getsockname()[:2]), flush=True)
    await stopped.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS", help="milliseconds before each answer")
    parser.add_argument("--body", default="ok", help="the body of each answer")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(options.host, options.port, answer_of(options.body.encode()), options.delay / 1000))


if __name__ == "__main__":
    main()
