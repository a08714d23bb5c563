"""Which thread answers a request: every client has its share of those for calls, and management has its own."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waitress.task import ThreadedTaskDispatcher

if TYPE_CHECKING:
    from gateway.threaded.channel import Channel

THREADS = 32
_OF_ONE_CLIENT = 24
"""Threads that one client's calls may have, however slow they are: the others have the rest."""

_CALLS = ("function", "async-function")


class Threads:
    """waitress's dispatcher: threads for calls, for management, and one for what is answered at once.

    So a gateway all of whose calls are slow, or whose management pages are, still says that it is well.
    """

    def __init__(self) -> None:
        self._calls, self._management, self._quick = _Calls(), _dispatcher(THREADS), _dispatcher(1)

    def add_task(self, channel: Channel) -> None:
        request = channel.requests[0]
        first = "" if request.error else request.path.lstrip("/").partition("/")[0]
        if request.error or first == "healthz":
            self._quick.add_task(channel)
        elif first in _CALLS:
            self._calls.add_task(channel)
        else:
            self._management.add_task(channel)

    def shutdown(self) -> None:
        self._calls.shutdown()
        for dispatcher in (self._management, self._quick):
            dispatcher.shutdown(cancel_pending=True, timeout=1)


class _Calls:
    """Threads for calls. A client that has its share of them waits, and nobody behind it does."""

    def __init__(self) -> None:
        self._dispatcher = _dispatcher(THREADS)
        self._lock = threading.Lock()
        self._turns: Counter[str] = Counter()
        self._waiting: dict[str, deque[Channel]] = {}

    def add_task(self, channel: Channel) -> None:
        client = channel.client
        with self._lock:
            if self._turns[client] >= _OF_ONE_CLIENT:
                self._waiting.setdefault(client, deque()).append(channel)
                return
            self._turns[client] += 1
        self._dispatcher.add_task(_Turn(self, channel, client))

    def end_turn(self, client: str) -> None:
        """The turn goes to the client's next call, if one waits."""
        with self._lock:
            waiting = self._waiting.get(client)
            if not waiting:
                self._turns[client] -= 1
                if not self._turns[client]:
                    del self._turns[client]
                return
            channel = waiting.popleft()
            if not waiting:
                del self._waiting[client]
        self._dispatcher.add_task(_Turn(self, channel, client))

    def shutdown(self) -> None:
        self._dispatcher.shutdown(cancel_pending=True, timeout=1)
        with self._lock:
            for channel in (one for waiting in self._waiting.values() for one in waiting):
                channel.cancel()


@dataclass(frozen=True, slots=True)
class _Turn:
    """A client's turn on a thread; waitress's task."""

    calls: _Calls
    channel: Channel
    client: str

    def service(self) -> None:
        try:
            self.channel.service()
        finally:
            self.calls.end_turn(self.client)

    def cancel(self) -> None:
        self.channel.cancel()


def _dispatcher(threads: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return dispatcher
