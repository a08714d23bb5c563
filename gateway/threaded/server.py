"""The server: its socket, its loop, and its end."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from gateway.api.head_checks import HeadChecks
from gateway.connection_limiter import RESERVED, ConnectionLimiter
from gateway.invoke.body_budget import BodyBudget
from gateway.request_limits import RequestLimits
from gateway.threaded.channel import Channel
from gateway.threaded.threads import THREADS, Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_LOOK_EVERY = 0.05
_ACCEPTED_AT_ONCE = 256


class FlaskServer:
    """Serves `app` on `listener` from threads of its own, from `start()` to `close()`. `spool` limits what it keeps of
    requests, in memory and on disk, `limiter` who is connected; `head_checks` are asked before a body is taken.
    `is_public`: its port serves no management."""

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        limits: RequestLimits,
        head_checks: HeadChecks,
        spool: BodyBudget | None = None,
        limiter: ConnectionLimiter | None = None,
        is_public: bool = False,
    ) -> None:
        self.port: int = listener.getsockname()[1]
        # Not a line for each client that leaves, nor for each call that waits for a thread.
        logging.getLogger("waitress").setLevel(logging.WARNING)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        adjustments = Adjustments(
            sockets=[listener],
            threads=THREADS,
            connection_limit=1000 if limiter is None else limiter.most + 2 * RESERVED,  # where it stops accepting
            asyncore_use_poll=True,
            # Lets a thread that waits for a function see that the client has gone.
            channel_request_lookahead=1,
            channel_timeout=int(limits.idle_timeout),
            cleanup_interval=1,
            max_request_header_size=limits.head_size,
            max_request_body_size=1 << 40,
            # What is written goes out at once: answers may be streams of events.
            send_bytes=1,
            outbuf_high_watermark=256 * 1024,
            # These are clients that leave.
            log_socket_errors=False,
            ident=None,
            clear_untrusted_proxy_headers=False,
        )
        self._threads = Threads()
        self._server: Any = _Server(
            app,
            {},
            True,
            listener,
            dispatcher=self._threads,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )
        self._server.limits = limits
        self._server.head_checks = head_checks
        self._server.spool = spool
        self._server.limiter = limiter
        self._server.is_public = is_public
        self._thread = threading.Thread(target=self._server.run, name="waitress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Stops accepting, lets requests that have begun end within `timeout` seconds, or until somebody is in a hurry,
        then closes every connection."""
        deadline = time.monotonic() + timeout
        self._on_its_thread(self._server.stop_accepting)
        while self._server.is_busy and time.monotonic() < deadline and not is_hurried():
            time.sleep(_LOOK_EVERY)
            self._on_its_thread(self._server.close_idle)
        self._on_its_thread(self._server.close_all)
        self._thread.join()
        self._threads.shutdown()

    def _on_its_thread(self, action: Any) -> None:
        done = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                done.set()

        self._server.trigger.pull_trigger(act)
        done.wait()


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = Channel
    limits: RequestLimits
    head_checks: HeadChecks
    spool: BodyBudget | None
    limiter: ConnectionLimiter | None
    is_public: bool
    _newest: Channel | None = None

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.next_channel_cleanup = math.inf  # waitress would do it in the middle of a turn
        self._shed: list[Channel] = []
        self._next_look = 0.0

    def run(self) -> None:
        """Closes connections only between two turns of the loop: a newcomer would get the number of one that was
        closed, and with it what the turn still has to report about that one."""
        while self._map:
            self._close_some()
            wasyncore.poll2(self.adj.asyncore_loop_timeout, self._map)

    def _close_some(self) -> None:
        shed, self._shed = self._shed, []
        for channel in shed:
            if channel.connected:
                channel.handle_close()
        now = time.time()
        if now >= self._next_look:
            self._next_look = now + self.adj.cleanup_interval
            self.maintenance(now)

    def shed(self, channel: Channel) -> None:
        """Closes `channel` after this turn."""
        self._shed.append(channel)

    def handle_accept(self) -> None:
        # A turn of the loop looks at every connection, so with one for each turn newcomers would wait behind a crowd.
        for _ in range(_ACCEPTED_AT_ONCE):
            before = self._newest
            super().handle_accept()
            if self._newest is before:
                return

    def note_newcomer(self, channel: Channel) -> None:
        self._newest = channel

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now):
                channel.handle_close()

    @property
    def is_busy(self) -> bool:
        return any(channel.is_busy for channel in list(self.active_channels.values()))

    def stop_accepting(self) -> None:
        # Not close(): that would close the trigger too, by which threads announce their answers.
        wasyncore.dispatcher.close(self)

    def close_idle(self) -> None:
        self.maintenance(time.time())
        for channel in list(self.active_channels.values()):
            if not channel.is_busy:
                channel.handle_close()

    def close_all(self) -> None:
        """Its loop ends with this."""
        wasyncore.close_all(self._map, ignore_all=True)
