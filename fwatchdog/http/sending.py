"""A response on its way out, no faster than its client reads."""

from __future__ import annotations

import asyncio
import math

from fwatchdog.http.messages import Response, encode_head, has_body

_SMALL = 64 * 1024
_PIECE = 256 * 1024


class ResponseSender:
    """Writes responses to one transport, whose `pause_writing` and `resume_writing` are passed on to `pause`, `resume`.

    `deadline` is when a client that is not reading has used up its time; `math.inf` while it reads.
    """

    def __init__(self, transport: asyncio.Transport, write_timeout: float) -> None:
        self._transport = transport
        self._write_timeout = write_timeout
        self._loop = asyncio.get_running_loop()
        self._writable: asyncio.Future[None] | None = None
        self.deadline = math.inf

    def pause(self) -> None:
        self._writable = self._loop.create_future()
        self.deadline = self._loop.time() + self._write_timeout

    def resume(self) -> None:
        self.deadline = math.inf
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    async def send(self, response: Response, method: str, keep_alive: bool, is_http_1_1: bool) -> None:
        """Returns when all of it is with the transport. A small response is one write."""
        head = encode_head(response, keep_alive, is_http_1_1)
        pieces = response.body if has_body(method, response.status) else ()
        if sum(map(len, pieces)) <= _SMALL:
            await self._write(b"".join((head, *pieces)))
            return
        await self._write(head)
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                await self._write(piece[start : start + _PIECE])

    async def _write(self, data: bytes) -> None:
        if self._writable is not None:
            await self._writable
        self._transport.write(data)
