"""One connection to a replica: writes a request, parses its answer, and says when it may be used again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import cast

import httptools

from swarmfn.upstream.deadlines import DeadlineTimer
from swarmfn.upstream.failures import Broken, DeadlinePassed
from swarmfn.upstream.framing import answer_keeps_alive, ends_with_connection
from swarmfn.upstream.response import HIGH_WATER, Response
from swarmfn.upstream.sending import Sender

SMALL_BODY = 64 * 1024
"""Up to here head and body are copied into one write; above, the copy costs more than a second write."""

MAX_OVERHEAD = 64 * 1024
"""Bytes that may arrive in a row with nothing of a body among them: heads, trailers, chunk extensions."""


class Reading(Enum):
    """How far the answer of the present exchange has come."""

    HEAD = 1
    """Its head is not whole; informational answers may have come before it."""
    BODY = 2
    COMPLETE = 3


# An enum takes as long to look up a name as Python takes for a call of a function.
HEAD, BODY, COMPLETE = Reading


class ReplicaConnection(asyncio.Protocol):
    """Serves one exchange at a time. `on_idle` is called when it is free again, `on_lost` when it is gone."""

    __slots__ = (
        "_has_stray",
        "_is_paused",
        "_keeps_alive",
        "_on_idle",
        "_on_lost",
        "_overhead",
        "_parser",
        "_reading",
        "_response",
        "_sender",
        "_timer",
        "_transport",
        "_wants_body",
        "address",
        "idle_since",
        "is_reused",
        "key",
        "loop",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        key: str,
        address: str,
        on_idle: Callable[[ReplicaConnection], None],
        on_lost: Callable[[ReplicaConnection], None],
    ) -> None:
        self.loop = loop
        self.key = key
        self.address = address
        self.idle_since = 0
        self.is_reused = False
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._timer = DeadlineTimer(loop, self._on_deadline)
        self._response: Response | None = None
        self._sender: Sender | None = None
        self._is_paused = False
        self._expect_answer(wants_body=True)

    @property
    def is_usable(self) -> bool:
        """It is open and no exchange is on it."""
        return self._response is None and not self._transport.is_closing()

    @property
    def socket(self) -> socket.socket:
        """The one below, for its options only."""
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    def start(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes],
        wants_body: bool,
        deadline: float | None,
        waiter: asyncio.Future[None],
    ) -> Response:
        """Writes the request. `waiter` is resolved once the head of the answer is there, or the exchange failed."""
        self._expect_answer(wants_body)
        response = self._response = Response(self, waiter)
        if deadline is not None:
            self._timer.set(deadline)
        if not isinstance(body, bytes):
            self._sender = Sender(self.loop, self._transport, body, self._on_unsent)
            self._transport.write(head)
        elif len(body) <= SMALL_BODY:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        return response

    def abort(self, problem: str) -> None:
        """Ends the exchange as Broken and closes the connection, dropping what was still to be written."""
        self._fail(Broken(self.address, problem))

    def resume(self) -> None:
        """The reader has caught up."""
        if self._is_paused:
            self._is_paused = False
            if not self._transport.is_closing():  # uvloop's raises on one that is
                self._transport.resume_reading()

    def close(self) -> None:
        """Closes it, idle or not."""
        self.abort("was cut off: this client is being closed.")

    def _expect_answer(self, wants_body: bool) -> None:
        self._wants_body = wants_body
        self._reading = HEAD
        self._keeps_alive = False
        self._has_stray = False  # bytes came that belong to no answer
        self._overhead = 0

    def _finish(self) -> None:
        """The answer is complete: frees the connection if both sides allow it, else closes it."""
        can_stay = (
            self._keeps_alive
            and not self._has_stray
            and (self._sender is None or self._sender.is_done)
            and self._transport.get_write_buffer_size() == 0
        )
        response = self._leave()
        if can_stay:
            if self._is_paused:
                self.resume()
            if not self._wants_body:  # the parser may be waiting for the body that Content-Length promised
                self._parser = httptools.HttpResponseParser(self)
            self.is_reused = True
            self._on_idle(self)
        else:
            self._transport.abort()
        if response is not None:
            response.end(None)

    def _fail(self, failure: BaseException) -> None:
        """Hands `failure` to the exchange, if one is on, and closes the connection."""
        response = self._leave()
        self._transport.abort()
        if response is not None:
            response.end(failure)

    def _leave(self) -> Response | None:
        """Parts from the present exchange."""
        response, self._response = self._response, None
        self._timer.deadline = None
        if self._sender is not None:
            self._stop_sending()
        return response

    def _stop_sending(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.stop()

    def _on_unsent(self, failure: BaseException) -> None:
        """The body could not be sent: what its iterator raised is for the caller, unless it is a cancellation."""
        if isinstance(failure, asyncio.CancelledError):
            self.abort("was cut off by this side: the sending of the request was cancelled.")
        else:
            self._fail(failure)

    def _on_deadline(self) -> None:
        missed = "answer" if self._reading is HEAD else "finish its answer"
        self._fail(DeadlinePassed(self.address, f"did not {missed} in time."))

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        response, parser = self._response, self._parser
        if response is None or parser is None:
            self.abort("sent bytes that no request asked for.")
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.abort("switched to another protocol, which is not supported.")
            return
        except httptools.HttpParserError as exc:
            if self._reading is not COMPLETE:
                self.abort(f"did not answer in proper HTTP: {exc}.")
                return
            self._has_stray = True
        if self._reading is COMPLETE:
            self._finish()
        else:
            self._go_on(response, len(data))

    def _go_on(self, response: Response, size: int) -> None:
        """More of the answer is to come."""
        self._overhead = 0 if self._overhead < 0 else self._overhead + size
        if self._has_stray:
            self.abort("did not answer in proper HTTP: an informational answer had a body.")
        elif self._overhead > MAX_OVERHEAD:
            self.abort(f"sent more than {MAX_OVERHEAD} bytes of headers.")
        elif self._reading is BODY:
            response.wake()

    def eof_received(self) -> None:
        response = self._response
        if response is not None and self._reading is BODY and ends_with_connection(response.headers):
            self._finish()
        else:
            self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)
        self._timer.cancel()
        self._parser = None  # it holds methods of this object
        self._on_lost(self)

    def _lost(self, exc: Exception | None) -> None:
        has_begun = self._response is not None and (self._reading is not HEAD or self._overhead > 0)
        when = "in the middle of its answer" if has_begun else "before answering"
        reason = f" ({exc})" if exc else ""
        self._fail(
            Broken(
                self.address,
                f"closed the connection {when}{reason}.",
                is_reused=self.is_reused and not has_begun,
            )
        )

    def pause_writing(self) -> None:
        if self._sender is not None:
            self._sender.pause()

    def resume_writing(self) -> None:
        if self._sender is not None:
            self._sender.resume()

    # The parser's side.

    def on_message_begin(self) -> None:
        if self._reading is COMPLETE:
            self._has_stray = True

    def on_header(self, name: bytes, value: bytes) -> None:
        response = self._response
        if response is not None and self._reading is HEAD:  # else a trailer, or a stray answer
            response.headers.append((name, value))

    def on_headers_complete(self) -> None:
        response, parser = self._response, self._parser
        if response is None or parser is None or self._reading is not HEAD:
            return
        status = parser.get_status_code()
        if status < 200:
            response.headers.clear()
            return
        response.status = status
        if self._wants_body:
            self._reading = BODY
            self._keeps_alive = parser.should_keep_alive()
        else:
            self._reading = COMPLETE
            self._keeps_alive = answer_keeps_alive(parser.get_http_version(), response.headers)
        if status >= 400 and not self._keeps_alive:
            self._stop_sending()  # RFC 9112, section 9.3: the replica refuses the rest of the request

    def on_body(self, data: bytes) -> None:
        response = self._response
        if response is None or self._reading is not BODY:
            self._has_stray = True
            return
        self._overhead = -1
        if response.add(data) > HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._reading is BODY:
            self._reading = COMPLETE
