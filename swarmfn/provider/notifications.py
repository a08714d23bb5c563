"""Telling listeners about new replica tables, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from swarmfn.wire.replicas import ReplicaTable

logger = logging.getLogger(__name__)

Listener = Callable[[ReplicaTable], None]


class _Subscription:
    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.seen: ReplicaTable | None = None


class Notifier:
    """Calls each listener with the latest table that it has not seen, one call at a time.

    Tables that came and went while a listener was busy are skipped.
    """

    def __init__(self) -> None:
        self._table: ReplicaTable = {}
        self._subscriptions: list[_Subscription] = []
        self._is_closing = False
        self._changed = threading.Condition()
        # Held during a call, so that unwatch can wait for it; reentrant, for a listener that ends its own watch.
        self._calling = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="provider-watch", daemon=True)
        self._thread.start()

    def publish(self, table: ReplicaTable) -> None:
        with self._changed:
            self._table = table
            self._changed.notify()

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Begins to tell `listener`. After the function returned here has returned, it is not called again."""
        subscription = _Subscription(listener)
        with self._changed:
            self._subscriptions.append(subscription)
            self._changed.notify()

        def unwatch() -> None:
            with self._calling, self._changed:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)

        return unwatch

    def close(self) -> None:
        """Ends the thread; idempotent."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._behind() is not None)
                if self._is_closing:
                    return
            self._tell_one()

    def _behind(self) -> _Subscription | None:
        return next((one for one in self._subscriptions if one.seen is not self._table), None)

    def _tell_one(self) -> None:
        with self._calling:
            with self._changed:
                subscription = self._behind()
                if subscription is None:
                    return
                table = subscription.seen = self._table
            try:
                subscription.listener(table)
            except Exception:
                logger.exception("a listener of the replica table failed", extra={"event": "listener_failed"})
