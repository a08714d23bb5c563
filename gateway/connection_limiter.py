"""Who may be connected to the gateway: not more than it has descriptors and memory for, not all from one address, and
with slots kept for health checks and management."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Protocol

from gateway.invoke.clients import Network, is_trusted, neighbourhood, through_proxies
from gateway.invoke.open_routes import is_open

RESERVED = 64
"""Slots beyond the limits, for health checks and management."""

RESERVED_PATIENCE = 5.0
"""Seconds that the head of a request may take on one of them."""

TOO_MANY_CONNECTIONS = (
    "too many connections are open, from this address (max_connections_per_client) or in total; "
    "only health checks and management are served."
)

_OTHER_DESCRIPTORS = 256
_BYTES_EACH = 16 * 1024
"""About what an idle connection takes."""

_SHARE_TO_SHED = 16
_LOOK_AGAIN = 0.1


def most_connections(descriptors: int, memory: int) -> int:
    """How many clients may be connected: each call has a connection to a replica as well, and all of them idle take a
    quarter of the memory at most."""
    return max(64, min((descriptors - _OTHER_DESCRIPTORS) // 2, memory // 4 // _BYTES_EACH))


class LimitedConnection(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Nothing of a request has come, and nothing is being answered."""

    @property
    def is_answering(self) -> bool: ...

    def shed(self) -> None:
        """Closes it."""


class Slot(Enum):
    """RESERVED: only for what `is_reserved_for` says; NONE: to be closed at once."""

    ORDINARY = 1
    RESERVED = 2
    NONE = 3


def is_reserved_for(path: str) -> bool:
    """Whether requests for `path` are served on a reserved slot."""
    return path == "/healthz" or not is_open(path)


# Connections are keys of dictionaries for their order: who came first is shed first.
@dataclass(slots=True)
class _Connections:
    connections: dict[LimitedConnection, None] = field(default_factory=dict)
    looks_again_at: float = 0.0


class ConnectionLimiter:
    """Belongs to one thread. Where there is no room, idle connections are shed, the oldest first; where none is idle,
    the newcomer has a reserved slot. An address in `trusted` stands for many clients, and only `most` counts."""

    def __init__(
        self,
        most: int,
        per_client: int,
        trusted: Sequence[Network] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self._per_client = min(per_client, max(1, most // 2))
        self._trusted = trusted
        self._clock = clock
        self._all = _Connections()
        self._by_client: dict[str, _Connections] = {}
        self._client_of: dict[LimitedConnection, str] = {}
        self._reserved: dict[LimitedConnection, None] = {}
        self.shed = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._all.connections) + len(self._reserved)

    def client_of(self, address: str, forwarded_for: Sequence[str]) -> str:
        """Who sends a request from there, behind the proxies that are trusted."""
        return neighbourhood(through_proxies(address, forwarded_for, self._trusted))

    def admit(self, connection: LimitedConnection, address: str) -> Slot:
        """`leave` must follow, except for the slot NONE."""
        client = neighbourhood(address)
        theirs = self._by_client.get(client) or _Connections()
        if self._has_room(theirs, address):
            self._all.connections[connection] = None
            self._by_client.setdefault(client, theirs).connections[connection] = None
            self._client_of[connection] = client
            return Slot.ORDINARY
        if len(self._reserved) >= RESERVED:
            self._shed_reserved()
        if len(self._reserved) >= RESERVED:
            self.refused += 1
            return Slot.NONE
        self._reserved[connection] = None
        return Slot.RESERVED

    def leave(self, connection: LimitedConnection) -> None:
        """May come more than once."""
        self._reserved.pop(connection, None)
        client = self._client_of.pop(connection, None)
        if client is not None:
            del self._all.connections[connection]
            theirs = self._by_client[client]
            del theirs.connections[connection]
            if not theirs.connections:
                del self._by_client[client]

    def note_refusal(self) -> None:
        """A reserved slot was not for this request."""
        self.refused += 1

    def _has_room(self, theirs: _Connections, address: str) -> bool:
        if len(theirs.connections) >= self._per_client and not is_trusted(address, self._trusted):
            self._shed_idle(theirs)
            if len(theirs.connections) >= self._per_client:
                return False
        if len(self._all.connections) >= self.most:
            self._shed_idle(self._all)
        return len(self._all.connections) < self.most

    def _shed_idle(self, group: _Connections) -> None:
        """A share at a time, and not again for a while where nobody was idle: looking at everybody takes time."""
        now = self._clock()
        if now < group.looks_again_at:
            return
        share = max(1, len(group.connections) // _SHARE_TO_SHED)
        idle = list(islice((connection for connection in group.connections if connection.is_idle), share))
        if not idle:
            group.looks_again_at = now + _LOOK_AGAIN
        for connection in idle:
            self._close(connection)

    def _shed_reserved(self) -> None:
        for connection in self._reserved:
            if not connection.is_answering:
                self._close(connection)
                return

    def _close(self, connection: LimitedConnection) -> None:
        self.leave(connection)
        self.shed += 1
        connection.shed()
