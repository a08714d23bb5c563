"""One client's connection: requests in, each handled by a task of its own, responses out in the same order."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from enum import Enum

from fwatchdog.http.exchange import Exchange
from fwatchdog.http.messages import BrokenResponse, encode_head, text_response
from fwatchdog.http.request_bodies import HIGH_WATER, BodyDecoder, LengthDecoder, RequestBody
from fwatchdog.http.sending import DUE, HANDLED, ResponseSender, SentStream
from fwatchdog.http.site import Site
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.request_heads import BadRequest, RequestHead, parse_head

logger = logging.getLogger(__name__)

_PIPELINED = 64 * 1024
_STALLED_HIGH_WATER = 64 * 1024 * 1024
_GRACE = 1.0
# TCP_INFO's first byte is the state. In these the peer has sent its FIN, or a reset.
_PEER_CLOSED = frozenset({7, 8, 9, 11})


class Stage(Enum):
    """What is done with what the client sends. A connection moves on to later stages only."""

    OPEN = 1
    """Its requests are read."""
    LAST_ANSWER = 2
    """It sends no more, or what cannot be read; the connection ends with the response that is on its way."""
    LINGERING = 3
    """It has its response. What else it sends is dropped, for closing would make its system drop that response."""
    CLOSED = 4


# An enum takes as long to look up a name as Python takes for a call of a function.
OPEN, LAST_ANSWER, LINGERING, CLOSED = Stage


class ClientConnection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client.

    The task of a request is cancelled when the client closes, sends garbage or stalls while the request is handled.
    A client that shuts down only its sending side counts as gone: it cannot be told from one that closed.
    """

    _transport: asyncio.Transport
    _sender: ResponseSender

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._stage = OPEN
        self._rest = b""
        self._decoder: BodyDecoder | None = None  # of a body that is not here as a whole
        self._exchange: Exchange | None = None
        self._is_paused = False
        self._opened = loop.time()
        self._served = 0
        self._read_deadline = self._opened + site.idle_timeout

    # -- what the listener asks ------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or may be: a connection only just opened counts for a moment."""
        is_fresh = not self._served and self._loop.time() < self._opened + _GRACE
        return self._exchange is not None or self._decoder is not None or bool(self._rest) or is_fresh

    def close(self) -> None:
        """Closes it at once; a request under way is cancelled."""
        if self._exchange is not None:
            self._exchange.cancel()
        self._transport.abort()

    def check_time(self, now: float) -> None:
        """Acts on what has timed out; the listener calls it often."""
        if now >= self._sender.deadline:
            logger.warning(
                "closed a connection: its client does not read the response", extra={"event": "write_timeout"}
            )
            self.close()
        elif now >= self._read_deadline:
            if self._stage is LINGERING or not (self._decoder or self._rest):
                self.close()
            else:
                self._refuse(408, "the request did not arrive in time")
        elif self._is_paused and self._exchange is not None and self._exchange.stream.progress is not HANDLED:
            self._look_for_client()

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sender = ResponseSender(transport, self._site.write_timeout)
        self._site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stage = CLOSED
        self._site.connections.discard(self)
        if self._exchange is not None:
            self._exchange.cancel()

    def data_received(self, data: bytes) -> None:
        if self._stage is LINGERING:
            return
        self._rest = self._rest + data if self._rest else data
        self._advance()

    def eof_received(self) -> bool:
        """Keeps the transport open only while a finished response is still on its way out."""
        exchange = self._exchange
        if exchange is None:
            return False
        self._stage = LAST_ANSWER
        if exchange.stream.progress is HANDLED and self._decoder is None:
            return True
        exchange.cancel()
        return False

    def pause_writing(self) -> None:
        self._sender.pause()

    def resume_writing(self) -> None:
        self._sender.resume()

    # -- requests in -----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Takes as much as possible out of what was received."""
        try:
            while self._rest and self._stage is not CLOSED:
                if self._decoder is not None:
                    self._feed_body(self._decoder)
                elif self._exchange is not None or not self._take_head():
                    break
        except BadRequest as exc:
            self._refuse(exc.status, exc.reason)
        self._balance_reading()

    def _feed_body(self, decoder: BodyDecoder) -> None:
        pieces, self._rest = decoder.feed(self._rest)
        if self._sender.is_paused:
            self._sender.extend()
        if self._exchange is not None:
            self._exchange.body.push(pieces)
        if decoder.done:
            self._end_body()

    def _end_body(self) -> None:
        self._decoder = None
        if self._exchange is None:
            self._read_deadline = self._loop.time() + self._site.idle_timeout
        else:
            self._read_deadline = math.inf
            self._exchange.body.finish()

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
        body = RequestBody(self._body_wanted, self._body_taken)
        stream = SentStream(self._sender, head, self._may_stay)
        exchange = Exchange(head, body, stream, head.expects_continue and head.length != 0)
        self._exchange = exchange
        exchange.task = self._loop.create_task(self._serve(exchange))
        self._decoder = ChunkedDecoder() if head.length is None else LengthDecoder(head.length)
        if self._decoder.done:
            self._end_body()
        else:
            self._read_deadline = min(self._read_deadline, self._loop.time() + self._site.read_timeout)

    def _body_wanted(self) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.wants_continue or self._stage is CLOSED:
            return
        if exchange.stream.progress is not DUE:
            return
        exchange.wants_continue = False
        if self._decoder is not None and not self._rest:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_taken(self) -> None:
        if self._is_paused:
            self._balance_reading()

    def _balance_reading(self) -> None:
        """Pauses a client that is far ahead, and lets it go on. A pause of ours does not use up its time."""
        if self._stage is LINGERING or self._stage is CLOSED:
            return
        most = _STALLED_HIGH_WATER if self._sender.is_stalled else HIGH_WATER
        is_ahead = self._exchange is not None and (self._ahead() > most or len(self._rest) > _PIPELINED)
        if is_ahead and not self._is_paused:
            self._is_paused = True
            self._read_deadline = math.inf
            self._transport.pause_reading()
        elif self._is_paused and not is_ahead:
            self._resume()

    def _resume(self) -> None:
        self._is_paused = False
        if self._decoder is not None:
            self._read_deadline = self._loop.time() + self._site.read_timeout
        self._transport.resume_reading()

    def _ahead(self) -> int:
        """Bytes received for this request or the next one, and not taken yet."""
        return len(self._rest) + (self._exchange.body.unread if self._exchange is not None else 0)

    def _look_for_client(self) -> None:
        """Notices a client that closed behind bytes that are not being read.

        Its FIN may be stuck behind a full window: a little is read at each look, so that it gets through.
        """
        if self._stage is CLOSED:
            return
        if self._peer_has_closed():
            self.close()
        elif self._ahead() < _STALLED_HIGH_WATER:
            self._resume()

    def _peer_has_closed(self) -> bool:
        peer = self._transport.get_extra_info("socket")
        try:
            return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _PEER_CLOSED
        except OSError:
            return True

    # -- responses out ---------------------------------------------------------------------------------------------

    async def _serve(self, exchange: Exchange) -> None:
        stream = exchange.stream
        try:
            response = await self._site.handle(exchange.request())
            if stream.has_begun:
                await stream.end()
        except Exception as exc:
            self._log_failure(exc)
            if stream.has_begun:
                self._exchange = None
                self.close()
                return
            response = text_response(500, "The watchdog failed; its log says why.")
        if stream.has_begun:
            keep_alive = stream.keep_alive
        else:
            stream.progress = HANDLED
            keep_alive = self._may_stay()
            await self._sender.send(response, exchange.head.method, keep_alive, exchange.head.is_http_1_1)
        self._end_exchange(exchange, keep_alive)

    def _may_stay(self) -> bool:
        exchange = self._exchange
        # A client told to go on after it was refused would send its body for nothing.
        return (
            exchange is not None
            and exchange.head.keep_alive
            and not exchange.wants_continue
            and not self._site.is_draining
        )

    def _log_failure(self, exc: Exception) -> None:
        if isinstance(exc, BrokenResponse):
            logger.warning("a response was broken off: %s", exc, extra={"event": "broken_response"})
        else:
            extra = {"event": "internal_error"}
            logger.error("a request failed in the watchdog itself", exc_info=exc, extra=extra)

    def _end_exchange(self, exchange: Exchange, keep_alive: bool) -> None:
        """What was not read of the body is dropped as it arrives, so that the connection can go on."""
        self._exchange = None
        exchange.body.discard()
        if self._stage is CLOSED:
            return
        if not keep_alive or self._stage is LAST_ANSWER:
            self._linger()
            return
        now = self._loop.time()
        self._read_deadline = now + (self._site.idle_timeout if self._decoder is None else self._site.read_timeout)
        self._advance()

    def _refuse(self, status: int, reason: str) -> None:
        """Answers a request that cannot be read to its end, stops what handles it, and closes."""
        if self._stage is CLOSED:
            return
        exchange = self._exchange
        if exchange is not None:
            if exchange.stream.progress is HANDLED:
                # The answer is on its way already: let it end, and the connection with it.
                self._stage, self._decoder = LAST_ANSWER, None
                self._read_deadline = math.inf
                return
            exchange.cancel()
            self._exchange = None
            if exchange.stream.progress is not DUE:
                self._transport.abort()
                return
        response = text_response(status, f"{reason}.\n")
        self._transport.write(encode_head(response, keep_alive=False, is_http_1_1=True) + response.body[0])
        self._linger(always=True)

    def _linger(self, always: bool = False) -> None:
        """Closes so that the client gets all of the response: unread input would turn the close into a reset."""
        if self._decoder is None and not self._rest and not always:
            self._transport.close()
            return
        self._stage = LINGERING
        self._rest, self._decoder = b"", None
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._read_deadline = self._loop.time() + self._site.linger_timeout
        if self._transport.can_write_eof():
            self._transport.write_eof()
