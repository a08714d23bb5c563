"""The worker process's end of a lane, read and written by one thread."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.output import flush
from swarmfn.wire.headers import Headers

_AT_ONCE = 64 * 1024
_PIECE = 256 * 1024


class LaneClosed(BaseException):
    """The watchdog has gone, or closed the lane: there is nobody to answer. No `except Exception` swallows it."""


_process = os.getpid()


def is_forked() -> bool:
    """Whether this is a copy of the worker process, made by the function."""
    return os.getpid() != _process


def leave_if_forked() -> None:
    """Ends a process that the function forked and that came back from the call: its parent answers, and takes calls."""
    if is_forked():
        flush()
        # Exit handlers are the parent's to run.
        os._exit(0)


class Lane:
    """One call after another. Raises LaneClosed from everything, and is closed in processes that the function forks."""

    def __init__(self, descriptor: int) -> None:
        # Programs that the function starts must not hold the watchdog's socket open: it is not inheritable from here.
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        os.register_at_fork(after_in_child=self.close)

    def receive(self) -> tuple[int, Mapping[str, Any], bytes]:
        """The next frame. A large body is received into the bytes object it stays in, so that it is there once."""
        kind, head_length, body_length = frames.PREFIX.unpack(self._exactly(frames.PREFIX.size))
        if body_length <= _AT_ONCE:
            both = self._exactly(head_length + body_length)
            return kind, frames.parse_head(both[:head_length]), both[head_length:]
        head = frames.parse_head(self._exactly(head_length))
        return kind, head, self._exactly(body_length)

    def send(self, kind: int, head: Mapping[str, Any] | None = None, body: bytes | memoryview = b"") -> None:
        leave_if_forked()
        lead = frames.lead(kind, head or {}, len(body))
        try:
            if len(body) <= _AT_ONCE:
                self._socket.sendall(b"".join((lead, body)))
            else:
                self._socket.sendall(lead)
                self._socket.sendall(body)
        except OSError as exc:
            raise LaneClosed from exc

    def detach(self) -> socket.socket:
        """The socket, to be used from an event loop from now on."""
        self._socket.setblocking(False)
        return self._socket

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, size: int) -> bytes:
        if not size:
            return b""
        data = self._receive(size)
        while len(data) < size:
            # A signal of the function's own cut the wait short.
            data += self._receive(size - len(data))
        return data

    def _receive(self, size: int) -> bytes:
        try:
            data = self._socket.recv(size, socket.MSG_WAITALL)
        except OSError as exc:
            raise LaneClosed from exc
        if not data:
            raise LaneClosed
        return data


class Call:
    """One request and the way to answer it: `answer` once, or `begin`, any number of `piece` and then `end`."""

    def __init__(self, lane: Lane) -> None:
        """Waits for the next call on `lane`."""
        kind, head, body = lane.receive()
        while kind != frames.CALL:
            # Left over from a call that has ended.
            kind, head, body = lane.receive()
        self.head = head
        self.has_begun = False
        self._has_ended = False
        self._lane = lane
        self._arrived = body
        self._has_more = bool(head.get("more"))

    def read(self) -> bytes:
        """Bytes of the body that were not read yet, at least one; empty at its end. Waits for the client."""
        if not self._arrived and self._has_more:
            self._lane.send(frames.MORE)
            _, head, self._arrived = self._lane.receive()
            self._has_more = bool(head.get("more"))
        arrived, self._arrived = self._arrived, b""
        return arrived

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        # What was printed belongs to this call: out with it before the answer.
        flush()
        self._has_ended = True
        self._lane.send(frames.ANSWER, {"status": status, "headers": headers}, body)

    def begin(self, status: int, headers: Headers, first: bytes) -> None:
        self.has_begun = True
        self._lane.send(frames.BEGIN, {"status": status, "headers": headers}, first[:_PIECE])
        self.piece(first[_PIECE:])

    def piece(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._lane.send(frames.PIECE, None, rest[:_PIECE])
            rest = rest[_PIECE:]

    def end(self) -> None:
        flush()
        self._has_ended = True
        self._lane.send(frames.END)

    def fail(self, error: str, traceback: str) -> None:
        """Says that the call failed, unless it is answered already."""
        flush()
        if self._has_ended:
            return
        self._lane.send(frames.ERROR, {"error": error, "traceback": traceback})
