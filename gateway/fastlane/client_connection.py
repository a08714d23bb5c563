"""A client's connection, for uvicorn: has its requests read one after the other, and the app answer them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from enum import Enum
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.connection_limiter import RESERVED_PATIENCE, ConnectionLimiter, Slot, is_reserved_for
from gateway.fastlane.exchange import DUE, OVER, App, Exchange
from gateway.fastlane.half_closed import HalfClosed
from gateway.fastlane.refusals import TOO_MANY, TOO_SLOW, Refusal, Refused
from gateway.fastlane.request_reader import NOTHING, RequestReader
from gateway.request_limits import RequestLimits
from swarmfn.upstream.deadlines import DeadlineTimer

_LINGER = 2.0
"""Seconds in which a client that is still sending can read why it was refused, before the connection is closed."""

_RESET = struct.pack("ii", 1, 0)


class Stage(Enum):
    """What is done with what the client sends. Each stage may be followed by any later one."""

    OPEN = 1
    """Its requests are read."""
    LAST_ANSWER = 2
    """Its last request cannot be read; the one before is being answered, and then the connection ends."""
    HALF_CLOSED = 3
    """It has said that it sends no more, and is looked for until it has its answers."""
    LINGERING = 4
    """It has its answer. What else it sends is dropped, for closing would make its system drop that answer."""
    CLOSED = 5
    """It is sent what is left, if it takes that."""


def client_connection(
    limits: RequestLimits, limiter: ConnectionLimiter, exchange: type[Exchange] = Exchange
) -> type[ClientConnection]:
    """The protocol class for uvicorn's `Config(http=…)`, whose app is an App of ours; `exchange` is what it makes of
    each request."""
    fields = {"__slots__": (), "limits": limits, "exchange": exchange, "limiter": limiter}
    return type("LimitedClientConnection", (ClientConnection,), fields)


class ClientConnection(asyncio.Protocol):
    """uvicorn has a protocol of its own on httptools. This one limits a request's head in size and time, drops clients
    that stop reading, cancels the app's task when its client leaves, never writes an error into the middle of an
    answer, and speaks HTTP/1.0 to those who do.

    Answers are given one after the other; requests that come early wait.
    """

    __slots__ = (
        "__weakref__",
        "_answering",
        "_app",
        "_half_closed",
        "_is_draining",
        "_is_paused",
        "_is_reserved",
        "_loop",
        "_reader",
        "_server",
        "_stage",
        "_timer",
        "_waiting",
        "_writable",
        "_write_timer",
        "client",
        "is_full",
        "port",
        "transport",
    )

    limits: ClassVar[RequestLimits]
    exchange: ClassVar[type[Exchange]]
    limiter: ClassVar[ConnectionLimiter]
    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._app: App = config.loaded_app
        self._server = server_state
        self._timer = DeadlineTimer(self._loop, self._on_deadline)
        self.client = "unknown"
        self.port = 0
        self._stage = Stage.OPEN
        self._is_draining = False
        self._is_paused = False
        self._is_reserved = False
        self._reader: RequestReader | None = None  # in no other stage than OPEN
        self._half_closed = HalfClosed()
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self.is_full = False
        self._writable: asyncio.Future[None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.connections.add(self)  # type: ignore[arg-type]
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.client = peer[0]
            self.port = transport.get_extra_info("sockname")[1]
        slot = self.limiter.admit(self, self.client)
        self._is_reserved = slot is Slot.RESERVED
        patience = RESERVED_PATIENCE if self._is_reserved else self.limits.read_timeout
        self._timer.set(self._loop.time() + min(patience, self.limits.read_timeout))
        if slot is Slot.NONE:
            self.write(TOO_MANY.answer())
            self._close()
        else:
            self._reader = RequestReader(self, self.limits, self._timer, self._loop.time, self._is_reserved)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self.limiter.leave(self)
        self._timer.cancel()
        reader = self._stop_reading(Stage.CLOSED)
        self._waiting.clear()
        if reader is not None and reader.receiving is not None:
            reader.receiving.leave()
        if self._answering is not None:
            # Caller gone → this task is cancelled → the connection to the replica closes → the watchdog stops the run.
            self._cancel(self._answering)
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is not None:
            refusal = reader.feed(data)
            if refusal is not None:
                self._refuse(refusal)

    def eof_received(self) -> bool:
        """The client will send no more. Whether it still waits for an answer shows when it is sent something."""
        answering = self._answering
        if answering is None or not answering.is_received:
            return False  # closes the connection
        reader = self._stop_reading(Stage.HALF_CLOSED)
        broken = None if reader is None else reader.receiving
        if broken is not None and broken in self._waiting:  # a request that will not be whole
            self._waiting.remove(broken)
        (self._waiting[-1] if self._waiting else answering).keep_alive = False
        self._timer.set(self._loop.time() + self._half_closed.pause)
        return True

    def pause_writing(self) -> None:
        self.is_full = True
        self._writable = self._loop.create_future()
        self._write_timer = self._loop.call_later(self.limits.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self.is_full = False
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # The reader's side.

    def on_request(self, exchange: Exchange) -> None:
        if self._is_reserved:
            if not is_reserved_for(exchange.path.decode("latin-1")):
                self.limiter.note_refusal()
                raise Refused(TOO_MANY)
            exchange.keep_alive = False
        if self._answering is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._timer.deadline = None  # it is we who do not read
            self.pause_reading()

    def on_late_end(self) -> None:
        if self._answering is None:
            self._timer.set(self._loop.time() + self.limits.idle_timeout)

    # The exchange's side.

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_reading(self) -> None:
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and not self._waiting and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    async def drain(self) -> None:
        if self._writable is not None:
            # Shielded: the task of an earlier answer and this one's may wait for the same.
            await asyncio.shield(self._writable)

    def on_answered(self, exchange: Exchange) -> None:
        self._answering = None
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or self._is_draining:
            if exchange.is_received:
                self._close()
            else:
                self._linger()
        elif self._waiting:
            self._start(self._waiting.popleft())
            self.resume_reading()
        else:
            self.resume_reading()
            reader = self._reader
            if reader is not None and reader.reading is NOTHING:
                self._timer.set(self._loop.time() + self.limits.idle_timeout)

    def on_ended(self, exchange: Exchange) -> None:
        if exchange.task is not None:
            self._server.tasks.discard(exchange.task)

    def cut_off(self, exchange: Exchange) -> None:
        if not exchange.is_http_1_1:
            # Its answer ends with the connection, so a clean end would look like a whole answer.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    # The connection limiter's side.

    @property
    def is_idle(self) -> bool:
        return self._answering is None and self._is_between_requests

    @property
    def is_answering(self) -> bool:
        return self._answering is not None

    def shed(self) -> None:
        self.transport.close()

    # uvicorn's side.

    def shutdown(self) -> None:
        """No more requests after those that have begun to arrive."""
        self._is_draining = True
        if self._answering is not None:
            self._answering.keep_alive = False
        elif self._is_between_requests:
            self.transport.close()

    @property
    def _is_between_requests(self) -> bool:
        if self._reader is None:
            return self._stage is Stage.CLOSED
        return self._reader.reading is NOTHING

    def _start(self, exchange: Exchange) -> None:
        if self._is_draining and not self._waiting:
            exchange.keep_alive = False
        if not exchange.is_received and (self._timer.deadline is None or self._is_reserved):
            self._timer.set(self._loop.time() + self.limits.read_timeout)
        self._answering = exchange
        task = exchange.task = self._loop.create_task(exchange.run(self._app))
        self._server.tasks.add(task)

    def _cancel(self, exchange: Exchange) -> None:
        exchange.leave()
        if exchange.task is not None:
            # One that is cancelled before its first step never comes to `on_ended`. No other needs this callback, which
            # takes a turn of the loop of its own.
            exchange.task.add_done_callback(self._server.tasks.discard)
            exchange.task.cancel()

    def _on_deadline(self) -> None:
        reader = self._reader
        if self._stage is Stage.HALF_CLOSED:
            self._look_for_client()
        elif reader is None or reader.reading is NOTHING:
            self.transport.close()
        elif reader.receiving is not None and reader.receiving.progress is OVER:
            self.transport.close()  # it has its answer and goes on sending
        else:
            self._refuse(TOO_SLOW)

    def _look_for_client(self) -> None:
        exchange = self._answering
        if exchange is None or self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        probe = self._half_closed.next_step(connection, exchange.progress is not DUE, exchange.is_http_1_1)
        if probe is None:
            self.transport.abort()
            return
        if probe:
            self.write(probe)
        self._timer.set(self._loop.time() + self._half_closed.pause)

    # The way to the end.

    def _stop_reading(self, stage: Stage) -> RequestReader | None:
        """Moves on to `stage`; returns what has been reading until now."""
        self._stage = stage
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
        return reader

    def _refuse(self, refusal: Refusal) -> None:
        """Reads no further request, and says why if that would not spoil an answer."""
        reader = self._stop_reading(Stage.LAST_ANSWER)
        broken = None if reader is None else reader.receiving
        answering = self._answering
        if answering is not None and answering is not broken:
            # An earlier request is in order, and is answered first. That may take longer than a request may.
            self._timer.deadline = None
            self._waiting.clear()
            answering.keep_alive = False
            return
        if broken is not None:
            if broken.progress is not DUE:
                self.cut_off(broken)
                return
            self._cancel(broken)
        self.write(refusal.answer())
        self._linger()

    def _close(self) -> None:
        self._stop_reading(Stage.CLOSED)
        self.transport.close()

    def _linger(self) -> None:
        self._stop_reading(Stage.LINGERING)
        self.transport.write_eof()
        self.resume_reading()
        self._timer.set(self._loop.time() + _LINGER)
