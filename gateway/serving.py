"""The listening socket, and uvicorn for the fast lane."""

from __future__ import annotations

import math
import socket
from typing import Any, cast

import uvicorn

from gateway.connection_limiter import ConnectionLimiter
from gateway.fastlane.client_connection import client_connection
from gateway.fastlane.exchange import App, Exchange
from gateway.request_limits import RequestLimits
from swarmfn.wire.addresses import family_of, join_address


class PortTaken(Exception):
    """The address cannot be listened on; the message says which and why."""


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTaken."""
    listener = socket.socket(family_of(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(2048)
    except OSError as exc:
        listener.close()
        raise PortTaken(f"cannot listen on {join_address(address, port)}: {exc.strerror}.") from exc
    return listener


def fast_lane_server(
    app: App,
    limits: RequestLimits,
    limiter: ConnectionLimiter,
    drain_timeout: float,
    exchange: type[Exchange] = Exchange,
) -> uvicorn.Server:
    """uvicorn for the fast lane; `exchange` is what it makes of each request; `drain_timeout` is in seconds."""
    config = uvicorn.Config(
        cast(Any, app),  # no ASGI, see Exchange
        http=client_connection(limits, limiter, exchange),
        loop="none",
        lifespan="off",
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        # The core appends to X-Forwarded-For itself, and trusts nobody's more than others'.
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(drain_timeout),
        backlog=2048,
    )
    return uvicorn.Server(config)
