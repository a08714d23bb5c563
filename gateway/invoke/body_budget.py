"""One bound on the request bodies that are on their way through the gateway, so that nobody's unfinished uploads take
the memory of all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from gateway.invoke.clients import Network, neighbourhood, through_proxies
from gateway.invoke.incoming import SMALL_BODY, Incoming
from swarmfn.wire.errors import Unavailable

_RETRY_AFTER = 2.0


class BodyBudget:
    """Hands out `size` bytes, from any thread and without waiting.

    A client, known by its address behind the proxies that are `trusted`, has half of it at most, or one body alone. For
    small bodies there is an eighth more: large ones of others do not shut them out.
    """

    def __init__(self, size: int, trusted: Sequence[Network] = ()) -> None:
        self.size = size
        self._setting = "upload_budget"
        self._trusted = trusted
        self.used = 0
        self.refused = 0
        """How often there was no room."""
        self._by_client: Counter[str] = Counter()
        self._lock = threading.Lock()

    def resize(self, size: int, setting: str) -> None:
        """Another size from now on, which follows from `setting`."""
        self.size, self._setting = size, setting

    def hold_for(self, incoming: Incoming, size: int) -> Held:
        """The same as `hold`, for a request's client."""
        said = [value.decode("latin-1") for name, value in incoming.headers if name == b"x-forwarded-for"]
        return self.hold(incoming.client, size, said)

    def hold(self, peer: str, size: int, forwarded_for: Sequence[str] = ()) -> Held:
        """Room for a body of `size` bytes until it is released; `size` is 0 when nobody knows. Raises Unavailable."""
        held = Held(self, neighbourhood(through_proxies(peer, forwarded_for, self._trusted)))
        if size:
            held.grow(size)
        return held

    def _take(self, client: str, size: int, has: int) -> None:
        """`size` bytes more for a body that has `has` already."""
        extra = self.size // 8 if size + has <= SMALL_BODY else 0
        with self._lock:
            all_others = self.used - has
            others = self._by_client[client] - has
            is_over = all_others + has + size > self.size + extra
            is_over_share = others > 0 and others + has + size > (self.size + extra) // 2
            if is_over or is_over_share:
                self.refused += 1
                raise _no_room(self.size, self._setting, of_this_client=not is_over)
            self.used += size
            self._by_client[client] += size

    def _give_back(self, client: str, size: int) -> None:
        with self._lock:
            self.used -= size
            self._by_client[client] -= size
            if self._by_client[client] <= 0:
                del self._by_client[client]


class Held:
    """What one body has of the budget. As a context manager it is released at the end."""

    __slots__ = ("_budget", "_client", "_size")

    def __init__(self, budget: BodyBudget, client: str) -> None:
        self._budget = budget
        self._client = client
        self._size = 0

    def grow(self, size: int) -> None:
        """`size` bytes more. Raises Unavailable."""
        self._budget._take(self._client, size, self._size)
        self._size += size

    def grow_to(self, size: int) -> None:
        """As many bytes as are there of a body whose length is not known before. Raises Unavailable."""
        if size > self._size:
            self.grow(size - self._size)

    def release(self) -> None:
        size, self._size = self._size, 0
        if size:
            self._budget._give_back(self._client, size)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _no_room(size: int, setting: str, of_this_client: bool) -> Unavailable:
    whose = "from this address " if of_this_client else ""
    return Unavailable(
        f"too many request bodies {whose}are on their way at once; the limit is {size} bytes ({setting})"
        f"{', half of it for one address' if of_this_client else ''}. Nothing was accepted.",
        "Send it again after the time in Retry-After.",
        _RETRY_AFTER,
    )
