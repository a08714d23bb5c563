"""A client's connection: uvicorn's, plus the limits and the notice of a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "swarmfn.connection"
"""Where in an ASGI scope's extensions the connection is found."""


@dataclass(frozen=True)
class Limits:
    """Seconds for reading a whole request and for a client that does not read; bytes of a request's head."""

    read_timeout: float
    write_timeout: float
    head_size: int = 64 * 1024


_TOO_SLOW = b"the request did not arrive in time (read_timeout).\n"
_TOO_LARGE = b"the request's headers are too large.\n"


def client_connection(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn's Config(http=…)."""

    class ClientConnection(HttpToolsProtocol):
        """uvicorn limits neither the time nor the size of a request's head, nor the patience with a client that has
        stopped reading; and it tells an app of a lost client only if a task waits for it."""

        on_gone: Callable[[], Any] | None = None
        _read_timer: asyncio.TimerHandle | None = None
        _write_timer: asyncio.TimerHandle | None = None
        _in_head = True
        _head_size = 0
        _heads_ended = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            self._await_request()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_timers()
            if self.on_gone is not None:
                self.on_gone()
                self.on_gone = None

        def data_received(self, data: bytes) -> None:
            was_in_head, ended = self._in_head, self._heads_ended
            super().data_received(data)
            # A whole request in one piece begins and ends with "in head", but a head has ended meanwhile.
            if was_in_head and self._in_head and self._heads_ended == ended:
                self._head_size += len(data)
                if self._head_size > limits.head_size:
                    self._refuse(b"431 Request Header Fields Too Large", _TOO_LARGE)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]
            self._in_head = True
            self._head_size = 0
            if self._read_timer is None:
                self._await_request()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._heads_ended += 1
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            if self._read_timer is not None:
                self._read_timer.cancel()
                self._read_timer = None
            self._in_head = True
            self._head_size = 0
            super().on_message_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_timer = self.loop.call_later(limits.write_timeout, self._give_up)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._write_timer is not None:
                self._write_timer.cancel()
                self._write_timer = None

        def cut_off(self) -> None:
            """Ends the connection so that the client sees that the answer is not whole."""
            if self.transport is not None:
                self.transport.abort()

        def _await_request(self) -> None:
            self._read_timer = self.loop.call_later(limits.read_timeout, self._too_slow)

        def _too_slow(self) -> None:
            self._read_timer = None
            if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
                self.cut_off()
            elif self.transport is not None and not self.transport.is_closing():
                self._refuse(b"408 Request Timeout", _TOO_SLOW)

        def _refuse(self, status: bytes, text: bytes) -> None:
            if self.transport.is_closing():
                return
            self.transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-OpenFaaS-Internal: gateway\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
            )
            self.transport.close()

        def _give_up(self) -> None:
            self._write_timer = None
            self.cut_off()

        def _stop_timers(self) -> None:
            for timer in (self._read_timer, self._write_timer):
                if timer is not None:
                    timer.cancel()
            self._read_timer = self._write_timer = None

    return ClientConnection
