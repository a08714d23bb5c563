"""One client's connection: requests in, each handled by a task of its own, responses out in the same order."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fwatchdog.http.bodies import AHEAD, BodyDecoder, LengthDecoder, RequestBody
from fwatchdog.http.messages import BrokenResponse, Request, Response, encode_head, text_response
from fwatchdog.http.sending import ResponseSender, SentStream
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.request_heads import MAX_HEAD, BadRequest, RequestHead, parse_head

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

IDLE_TIMEOUT = 180.0
"""Seconds an unused connection stays, unless settings say otherwise. Clients pool them, and one closed just as it is
reused is an error there."""

LINGER_TIMEOUT = 5.0
"""Seconds that a refused client is listened to, unless settings say otherwise."""

_PIPELINED = 64 * 1024
_MOST_AHEAD = 64 * 1024 * 1024
_GRACE = 1.0
# TCP_INFO's first byte is the state. In these the peer has sent its FIN, or a reset.
_PEER_CLOSED = frozenset({7, 8, 9, 11})


@dataclass
class Site:
    """What the connections of one listener share. A timeout of `math.inf` never ends."""

    handle: Handler
    read_timeout: float
    write_timeout: float
    idle_timeout: float = IDLE_TIMEOUT
    linger_timeout: float = LINGER_TIMEOUT
    max_head: int = MAX_HEAD
    connections: set[ClientConnection] = field(default_factory=set)
    is_draining: bool = False


class ClientConnection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client.

    The task of a request is cancelled when the client closes, sends garbage or stalls while the request is handled.
    A client that shuts down only its sending side counts as gone: it cannot be told from one that closed.
    """

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._sender: ResponseSender | None = None
        self._rest = b""
        self._decoder: BodyDecoder | None = None
        self._body: RequestBody | None = None
        self._stream: SentStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._owes_continue = False
        self._is_answering = False
        self._is_lingering = False
        self._has_ended = False
        self._is_paused = False
        self._opened = loop.time()
        self._served = 0
        self._read_deadline = self._opened + site.idle_timeout

    # -- what the listener asks ------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or may be: a connection only just opened counts for a moment."""
        is_fresh = not self._served and self._loop.time() < self._opened + _GRACE
        return self._task is not None or self._decoder is not None or bool(self._rest) or is_fresh

    def close(self) -> None:
        """Closes it at once; a request under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def check_time(self, now: float) -> None:
        """Acts on what has timed out; the listener calls it often."""
        if self._sender is not None and now >= self._sender.deadline:
            logger.warning(
                "closed a connection: its client does not read the response", extra={"event": "write_timeout"}
            )
            self.close()
        elif now >= self._read_deadline:
            if self._is_lingering or not (self._decoder or self._rest):
                self.close()
            else:
                self._refuse(408, "the request did not arrive in time")
        elif self._is_paused and self._task is not None and not self._is_answering:
            self._look_for_the_end()

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sender = ResponseSender(transport, self._site.write_timeout)
        self._site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._site.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            return
        self._rest = self._rest + data if self._rest else data
        self._advance()

    def eof_received(self) -> bool:
        """Keeps the transport open only while a finished response is still on its way out."""
        self._has_ended = True
        if self._is_answering and self._decoder is None:
            return True
        if self._task is not None:
            self._task.cancel()
        return False

    def pause_writing(self) -> None:
        if self._sender is not None:
            self._sender.pause()

    def resume_writing(self) -> None:
        if self._sender is not None:
            self._sender.resume()

    # -- requests in -----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Takes as much as possible out of what was received."""
        try:
            while self._rest and self._transport is not None:
                if self._decoder is not None:
                    self._feed_body(self._decoder)
                elif self._task is not None or not self._take_head():
                    break
        except BadRequest as exc:
            self._refuse(exc.status, exc.reason)
        self._balance_reading()

    def _feed_body(self, decoder: BodyDecoder) -> None:
        pieces, self._rest = decoder.feed(self._rest)
        if self._sender is not None and self._sender.is_paused:
            self._sender.extend()
        if self._body is not None:
            self._body.push(pieces)
        if decoder.done:
            self._end_body()

    def _end_body(self) -> None:
        self._decoder = None
        self._read_deadline = math.inf if self._task is not None else self._loop.time() + self._site.idle_timeout
        if self._body is not None:
            self._body.finish()

    def _take_head(self) -> bool:
        """Starts the next request if its head is there."""
        self._rest = self._rest.lstrip(b"\r\n")
        end = self._rest.find(b"\r\n\r\n")
        most = self._site.max_head
        if end > most or (end < 0 and len(self._rest) > most):
            raise BadRequest(431, f"the head of the request is over {most} bytes")
        if end < 0:
            if b"\n\n" in self._rest:
                raise BadRequest(400, "lines must end with CR LF")
            if self._rest and self._read_deadline > self._loop.time() + self._site.read_timeout:
                self._read_deadline = self._loop.time() + self._site.read_timeout
            return False
        head = parse_head(self._rest[:end])
        self._rest = self._rest[end + 4 :]
        self._begin(head)
        return True

    def _begin(self, head: RequestHead) -> None:
        self._served += 1
        self._body = RequestBody(self._body_wanted, self._body_taken)
        self._owes_continue = head.expects_continue and head.length != 0
        assert self._sender is not None
        self._stream = SentStream(self._sender, head, lambda: self._may_stay(head))
        request = Request(head.method, head.target, head.headers, head.length, self._body, self._stream)
        self._task = self._loop.create_task(self._serve(request, head, self._stream))
        self._decoder = ChunkedDecoder() if head.length is None else LengthDecoder(head.length)
        if self._decoder.done:
            self._end_body()
        else:
            self._read_deadline = min(self._read_deadline, self._loop.time() + self._site.read_timeout)

    def _body_wanted(self) -> None:
        if self._owes_continue and self._transport is not None:
            if self._stream is not None and self._stream.has_begun:
                return
            self._owes_continue = False
            if self._decoder is not None and not self._rest:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_taken(self) -> None:
        if self._is_paused:
            self._balance_reading()

    def _balance_reading(self) -> None:
        """Pauses a client that is far ahead, and lets it go on. A pause of ours does not use up its time."""
        if self._transport is None or self._is_lingering:
            return
        most = _MOST_AHEAD if self._sender is not None and self._sender.is_stalled else AHEAD
        is_ahead = self._task is not None and (self._ahead() > most or len(self._rest) > _PIPELINED)
        if is_ahead and not self._is_paused:
            self._is_paused = True
            self._read_deadline = math.inf
            self._transport.pause_reading()
        elif self._is_paused and not is_ahead:
            self._resume(self._transport)

    def _resume(self, transport: asyncio.Transport) -> None:
        self._is_paused = False
        if self._decoder is not None:
            self._read_deadline = self._loop.time() + self._site.read_timeout
        transport.resume_reading()

    def _ahead(self) -> int:
        """Bytes received for this request or the next one, and not taken yet."""
        return len(self._rest) + (self._body.waiting_bytes if self._body is not None else 0)

    def _look_for_the_end(self) -> None:
        """Notices a client that closed behind bytes that are not being read.

        Its FIN may be stuck behind a full window: a little is read at each look, so that it gets through.
        """
        if self._transport is None:
            return
        if self._peer_has_closed():
            self.close()
        elif self._ahead() < _MOST_AHEAD:
            self._resume(self._transport)

    def _peer_has_closed(self) -> bool:
        assert self._transport is not None
        peer = self._transport.get_extra_info("socket")
        try:
            return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _PEER_CLOSED
        except OSError:
            return True

    # -- responses out ---------------------------------------------------------------------------------------------

    async def _serve(self, request: Request, head: RequestHead, stream: SentStream) -> None:
        try:
            response = await self._site.handle(request)
            if stream.has_begun:
                await stream.end()
        except Exception as exc:
            self._log_failure(exc)
            if stream.has_begun:
                self._task = None
                self.close()
                return
            response = text_response(500, "The watchdog failed; its log says why.")
        keep_alive = stream.keep_alive
        self._is_answering = True
        if not stream.has_begun and self._sender is not None:
            keep_alive = self._may_stay(head)
            await self._sender.send(response, head.method, keep_alive, head.is_http_1_1)
        self._is_answering = False
        self._task = self._stream = None
        self._end_exchange(keep_alive)

    def _may_stay(self, head: RequestHead) -> bool:
        # A client told to go on after it was refused would send its body for nothing.
        return head.keep_alive and not self._owes_continue and not self._site.is_draining

    def _log_failure(self, exc: Exception) -> None:
        if isinstance(exc, BrokenResponse):
            logger.warning("a response was broken off: %s", exc, extra={"event": "broken_response"})
        else:
            extra = {"event": "internal_error"}
            logger.error("a request failed in the watchdog itself", exc_info=exc, extra=extra)

    def _end_exchange(self, keep_alive: bool) -> None:
        """What was not read of the body is dropped as it arrives, so that the connection can go on."""
        if self._body is not None:
            self._body.discard()
            self._body = None
        if self._transport is None:
            return
        if not keep_alive or self._has_ended:
            self._linger()
            return
        now = self._loop.time()
        self._read_deadline = now + (self._site.idle_timeout if self._decoder is None else self._site.read_timeout)
        self._advance()

    def _refuse(self, status: int, reason: str) -> None:
        """Answers a request that cannot be read to its end, stops what handles it, and closes."""
        if self._transport is None:
            return
        if self._is_answering:
            # The answer is on its way already: let it end, and the connection with it.
            self._has_ended, self._decoder = True, None
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._stream is not None and self._stream.has_begun:
            self._transport.abort()
            return
        response = text_response(status, f"{reason}.\n")
        self._transport.write(encode_head(response, keep_alive=False, is_http_1_1=True) + response.body[0])
        self._linger(always=True)

    def _linger(self, always: bool = False) -> None:
        """Closes so that the client gets all of the response: unread input would turn the close into a reset."""
        assert self._transport is not None
        if self._decoder is None and not self._rest and not always:
            self._transport.close()
            return
        self._is_lingering = True
        self._rest, self._decoder = b"", None
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._read_deadline = self._loop.time() + self._site.linger_timeout
        if self._transport.can_write_eof():
            self._transport.write_eof()
