"""Listening sockets and the two servers: waitress for the Flask app, uvicorn for the fast lane."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import uvicorn
import waitress.server
from flask import Flask

from gateway.fastlane.connection import Limits, client_connection

logger = logging.getLogger(__name__)

_THREADS = 32
_IDLE = 75
"""Seconds an idle client connection is kept: longer than common proxies keep theirs (nginx 60 s)."""


class PortTaken(Exception):
    """The address cannot be listened on; the message says which and why."""


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as exc:
        listener.close()
        raise PortTaken(f"cannot listen on {address}:{port}: {exc.strerror}.") from exc
    listener.listen(2048)
    return listener


class FlaskServer:
    """waitress in a thread of its own, until `close()`."""

    def __init__(self, app: Flask, listener: socket.socket, read_timeout: float) -> None:
        self.port: int = listener.getsockname()[1]
        self._server: Any = waitress.server.create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            connection_limit=1000,
            asyncore_use_poll=True,
            # Lets a thread that waits for a function see that the client has gone.
            channel_request_lookahead=1,
            channel_timeout=int(max(read_timeout, 120)),
            max_request_body_size=1 << 40,
            ident=None,
            clear_untrusted_proxy_headers=False,
        )
        self._thread = threading.Thread(target=self._server.run, name="waitress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops accepting and lets the running requests end, up to a few seconds."""
        self._server.close()
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)


def fast_lane_server(app: Any, limits: Limits, drain_timeout: float) -> uvicorn.Server:
    """uvicorn for the fast lane; `drain_timeout` is in seconds."""
    config = uvicorn.Config(
        app,
        http=client_connection(limits),
        loop="none",
        lifespan="off",
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=int(drain_timeout),
        backlog=2048,
    )
    return uvicorn.Server(config)
