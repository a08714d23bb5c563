"""One client's connection."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel

from gateway.api.head_checks import Verdict
from gateway.connection_limiter import RESERVED_PATIENCE, Slot
from gateway.threaded.parser import Parser
from gateway.threaded.tasks import AppTask, RefusalTask

_LINGER = 2.0
"""Seconds in which a client that is still sending can read why it was refused, before the connection is closed."""


class Channel(HTTPChannel):  # type: ignore[misc]
    task_class = AppTask
    error_task_class = RefusalTask
    request: Any
    began = 0.0
    """When the request that is being received began."""
    lingers = False
    """Its client is still sending a request that was refused: closing now would make its system drop the answer."""
    closes_at = 0.0
    """When it stops lingering; 0 before it has begun to."""
    is_reserved = False
    _held: list[bytes] | None = None

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.server.note_newcomer(self)
        limiter = self.server.limiter
        if limiter is not None:
            slot = limiter.admit(self, self.addr[0])
            self.is_reserved = slot is Slot.RESERVED
            self.will_close = slot is Slot.NONE

    def del_channel(self, *table: Any) -> None:
        super().del_channel(*table)
        if self.server.limiter is not None:
            self.server.limiter.leave(self)

    @contextlib.contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """What is written meanwhile goes out together: waitress would send an answer's head by itself."""
        held: list[bytes] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        super().write_soon(b"".join(held))

    def write_soon(self, data: Any) -> int:
        if self._held is None:
            return int(super().write_soon(data))
        self._held.append(data)
        return len(data)

    @property
    def client(self) -> str:
        """Who sent the request that is next; "" where no client is told from another."""
        limiter = self.server.limiter
        said = self.requests[0].headers.get("X_FORWARDED_FOR", "")
        return "" if limiter is None else str(limiter.client_of(self.addr[0], [said]))

    @property
    def is_idle(self) -> bool:
        return not self.is_busy

    @property
    def is_answering(self) -> bool:
        return bool(self.requests)

    def shed(self) -> None:
        self.server.shed(self)

    def parser_class(self, adj: Adjustments) -> Parser:
        return Parser(adj, self._judge, self.addr[0], self.server.spool, self.is_reserved)

    def _judge(self, request: Parser, received: int) -> Verdict:
        environ = AppTask(self, request).get_environment()
        verdict: Verdict = self.server.head_checks(environ, received)
        return verdict

    def received(self, data: bytes) -> Any:
        if self.closes_at:
            return False
        before = self.request
        result = super().received(data)
        if self.request is not before:
            self.began = time.time()
        return result

    def handle_close(self) -> None:
        if self.request is not None:
            self.request.close()
            self.request = None
        if self.lingers and self.connected and not self.closes_at:
            self.closes_at = time.time() + _LINGER
            self.will_close = False
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_close()

    @property
    def is_busy(self) -> bool:
        return bool(self.requests or self.request is not None or self.total_outbufs_len)

    def is_overdue(self, now: float) -> bool:
        limits = self.server.limits
        is_stalled = self.total_outbufs_len and now - self.last_activity > limits.write_timeout
        is_done = self.closes_at and now > self.closes_at
        if self.is_reserved and not self.is_answering:
            is_done = is_done or now > self.creation_time + RESERVED_PATIENCE
        return bool(is_done or is_stalled or (self.request is not None and now - self.began > limits.read_timeout))
