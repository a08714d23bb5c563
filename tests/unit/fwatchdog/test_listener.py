"""The listening socket and what connections get from it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from fwatchdog.http.listener import Listener, bind


def test_the_parts_of_a_response_do_not_wait_for_each_other() -> None:
    async def listen() -> int:
        nothing_is_served: Any = None
        with bind(0) as listening:
            Listener(listening, nothing_is_served)
            with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
                accepted, _ = listening.accept()
                with accepted:
                    return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert asyncio.run(listen()) != 0
