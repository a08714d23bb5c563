"""What the connections of one listener share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from fwatchdog.http.messages import Request, Response
from swarmfn.wire.request_heads import MAX_HEAD

Handler = Callable[[Request], Awaitable[Response]]

IDLE_TIMEOUT = 180.0
"""Seconds an unused connection stays, unless settings say otherwise. Clients pool them, and one closed just as it is
reused is an error there."""

LINGER_TIMEOUT = 5.0
"""Seconds that a refused client is listened to, unless settings say otherwise."""


class WatchedConnection(Protocol):
    """A connection, as its listener uses it."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or may be: a connection only just opened counts for a moment."""

    def close(self) -> None:
        """Closes it at once; a request under way is cancelled."""

    def check_time(self, now: float) -> None:
        """Acts on what has timed out; the listener calls it often."""


@dataclass
class Site:
    """A timeout of `math.inf` never ends."""

    handle: Handler
    read_timeout: float
    write_timeout: float
    idle_timeout: float = IDLE_TIMEOUT
    linger_timeout: float = LINGER_TIMEOUT
    max_head: int = MAX_HEAD
    connections: set[WatchedConnection] = field(default_factory=set)
    is_draining: bool = False
