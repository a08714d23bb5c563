"""A client that has closed its half of a connection: it waits for its answer (`nc -N`, socat, some Node programs), or
it has left. TCP says the same for both; only bytes that are sent to it tell, which a client that has left answers with
a reset.

A call's run is stopped when its client has left, so this is asked soon and again.
"""

from __future__ import annotations

import socket
import struct

PROBE = b"HTTP/1.1 102 Processing\r\n\r\n"
"""An informational response, which any client must be able to read before the final one (RFC 9110, section 15.2)."""

_FIRST, _LONGEST = 0.25, 8.0
_SILENCE = 2.0
_LAST_SENT = struct.Struct("=I")
_LAST_SENT_AT = 44  # tcpi_last_data_sent, in milliseconds (linux/tcp.h)


class HalfClosed:
    """What is known of one such client."""

    __slots__ = ("pause",)

    def __init__(self) -> None:
        self.pause = _FIRST
        """Seconds until the next look."""

    def next_step(self, connection: socket.socket, is_started: bool, is_http_1_1: bool) -> bytes | None:
        """What to send to a client whose answer is on its way: PROBE, or nothing where that would spoil the answer. If
        the client has left, the write after the first one fails, and so ends the connection. None: there is no way to
        ask, and it is taken for one that has left."""
        waited, self.pause = self.pause, min(self.pause * 2, _LONGEST)
        if is_started:
            # What it is sent of its answer asks it as well.
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_SENT_AT + _LAST_SENT.size)
            silence = _LAST_SENT.unpack_from(info, _LAST_SENT_AT)[0] / 1000
            return b"" if silence < max(_SILENCE, waited) else None
        if not is_http_1_1:
            return b"" if waited < _SILENCE else None
        return PROBE
