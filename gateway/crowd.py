"""Who may be connected to the gateway: not more than it has descriptors and memory for, not all from one address, and
with places kept for health checks and management."""

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
"""Places beyond the limits, for health checks and management."""

RESERVED_PATIENCE = 5.0
"""Seconds that the head of a request may take on one of them."""

CROWDED = (
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


class Member(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Nothing of a request has come, and nothing is being answered."""

    @property
    def is_answering(self) -> bool: ...

    def shed(self) -> None:
        """Closes it."""


class Place(Enum):
    """RESERVED: only for what `is_reserved_for` says; NONE: to be closed at once."""

    ORDINARY = 1
    RESERVED = 2
    NONE = 3


def is_reserved_for(path: str) -> bool:
    """Whether requests for `path` are served on a reserved place."""
    return path == "/healthz" or not is_open(path)


# Members are keys of dictionaries for their order: who came first is shed first.
@dataclass(slots=True)
class _Group:
    members: dict[Member, None] = field(default_factory=dict)
    looks_again_at: float = 0.0


class Crowd:
    """Belongs to one thread. Where there is no room, idle connections are shed, the oldest first; where none is idle,
    the newcomer has a reserved place. An address in `trusted` stands for many clients, and only `most` counts."""

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
        self._all = _Group()
        self._by_client: dict[str, _Group] = {}
        self._client_of: dict[Member, str] = {}
        self._reserved: dict[Member, None] = {}
        self.shed = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._all.members) + len(self._reserved)

    def client_of(self, address: str, forwarded_for: Sequence[str]) -> str:
        """Who sends a request from there, behind the proxies that are trusted."""
        return neighbourhood(through_proxies(address, forwarded_for, self._trusted))

    def admit(self, member: Member, address: str) -> Place:
        """`leave` must follow, except for the place NONE."""
        client = neighbourhood(address)
        theirs = self._by_client.get(client) or _Group()
        if self._has_room(theirs, address):
            self._all.members[member] = None
            self._by_client.setdefault(client, theirs).members[member] = None
            self._client_of[member] = client
            return Place.ORDINARY
        if len(self._reserved) >= RESERVED:
            self._shed_reserved()
        if len(self._reserved) >= RESERVED:
            self.refused += 1
            return Place.NONE
        self._reserved[member] = None
        return Place.RESERVED

    def leave(self, member: Member) -> None:
        """May come more than once."""
        self._reserved.pop(member, None)
        client = self._client_of.pop(member, None)
        if client is not None:
            del self._all.members[member]
            theirs = self._by_client[client]
            del theirs.members[member]
            if not theirs.members:
                del self._by_client[client]

    def note_refusal(self) -> None:
        """A reserved place was not for this request."""
        self.refused += 1

    def _has_room(self, theirs: _Group, address: str) -> bool:
        if len(theirs.members) >= self._per_client and not is_trusted(address, self._trusted):
            self._shed_idle(theirs)
            if len(theirs.members) >= self._per_client:
                return False
        if len(self._all.members) >= self.most:
            self._shed_idle(self._all)
        return len(self._all.members) < self.most

    def _shed_idle(self, group: _Group) -> None:
        """A share at a time, and not again for a while where nobody was idle: looking at everybody takes time."""
        now = self._clock()
        if now < group.looks_again_at:
            return
        share = max(1, len(group.members) // _SHARE_TO_SHED)
        idle = list(islice((member for member in group.members if member.is_idle), share))
        if not idle:
            group.looks_again_at = now + _LOOK_AGAIN
        for member in idle:
            self._close(member)

    def _shed_reserved(self) -> None:
        for member in self._reserved:
            if not member.is_answering:
                self._close(member)
                return

    def _close(self, member: Member) -> None:
        self.leave(member)
        self.shed += 1
        member.shed()
