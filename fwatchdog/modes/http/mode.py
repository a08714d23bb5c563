"""The mode itself: a call goes on to the function's server, and its answer back, both as they come."""

from __future__ import annotations

import asyncio
import logging
import time

from fwatchdog.children import Nursery
from fwatchdog.http.addresses import HttpAddress
from fwatchdog.http.messages import BrokenResponse, Request, Response, text_response
from fwatchdog.modes import Failed
from fwatchdog.modes.http.pool import Pool
from fwatchdog.modes.http.requests import OutgoingRequest, outgoing
from fwatchdog.modes.http.response_head import ResponseHead
from fwatchdog.modes.http.server import FunctionServer
from fwatchdog.modes.http.server_connection import ExchangeFailed, ServerConnection
from fwatchdog.modes.outcomes import about, call_id_of, duration_header, log_kill
from fwatchdog.settings import Settings
from swarmfn.wire.headers import Headers, end_to_end

logger = logging.getLogger(__name__)


class HttpMode:
    """Passes calls on to the server that the command started. The end of that server is the end of the function."""

    def __init__(self, settings: Settings, nursery: Nursery, failed: Failed) -> None:
        self._settings = settings
        self._address = HttpAddress.parse(settings.upstream_url)
        self._pool = Pool(self._address)
        self._server = FunctionServer(settings, nursery, failed)

    async def start(self) -> None:
        await self._server.start(self._pool)

    async def run(self, request: Request, timeout: float) -> Response:
        started = time.monotonic()
        call_id = call_id_of(request)
        try:
            async with asyncio.timeout(timeout or None):
                return await self._exchange(request, started)
        except TimeoutError:
            log_kill(timeout, call_id)
            if request.stream.has_begun:
                raise BrokenResponse("the function's server took too long to answer") from None
            return Response(504, [duration_header(time.monotonic() - started)])
        except ExchangeFailed as exc:
            if request.stream.has_begun:
                raise BrokenResponse(str(exc)) from exc
            logger.error("the call failed: %s", exc, extra=about("exchange_failed", call_id))
            text = "The function's server did not send a complete answer. Its log has the details.\n"
            return text_response(502, text, [duration_header(time.monotonic() - started)])

    async def close(self) -> None:
        self._pool.close()
        await self._server.stop()

    async def _exchange(self, request: Request, started: float) -> Response:
        sending = await outgoing(request, self._address.path, self._settings.http_buffer_req_body)
        while True:
            connection, is_used = await self._pool.acquire()
            try:
                return await self._exchange_on(connection, sending, request, started)
            except ExchangeFailed as exc:
                # A server may close a connection it has kept just as the next request is on its way.
                if not (is_used and exc.is_unanswered and sending.can_repeat):
                    raise
            finally:
                sending.stop()
                if sending.is_sent and connection.can_go_on:
                    self._pool.release(connection)
                else:
                    connection.close()

    async def _exchange_on(
        self, connection: ServerConnection, sending: OutgoingRequest, request: Request, started: float
    ) -> Response:
        connection.begin(request.method)
        await sending.start(connection)
        head = await connection.head()
        headers = self._headers(head, time.monotonic() - started)
        if connection.is_complete and head.length != 0:
            response = Response(head.status, headers, connection.take())
            self._log(request, head.status, sum(map(len, response.body)), started)
            return response
        size = 0
        await request.stream.begin(head.status, headers)
        while pieces := await connection.read():
            for piece in pieces:
                size += len(piece)
                await request.stream.write(piece)
        self._log(request, head.status, size, started)
        return Response(head.status, headers)

    def _headers(self, head: ResponseHead, seconds: float) -> Headers:
        headers = end_to_end(head.headers)
        if self._settings.content_type:
            headers = [pair for pair in headers if pair[0].lower() != "content-type"]
            headers.append(("Content-Type", self._settings.content_type))
        headers.append(duration_header(seconds))
        return headers

    def _log(self, request: Request, status: int, size: int, started: float) -> None:
        if self._settings.write_debug:
            extra = about("run_ended", call_id_of(request), status=status)
            logger.info("wrote %d bytes after %.6f s", size, time.monotonic() - started, extra=extra)
