"""One request of a client and its response, as their connection keeps them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fwatchdog.http.messages import Request
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.http.sending import SentStream
from swarmfn.wire.request_heads import RequestHead


@dataclass(slots=True)
class Exchange:
    """wants_continue: the client holds back its body until it is asked for it; task: in which the request is
    handled."""

    head: RequestHead
    body: RequestBody
    stream: SentStream
    wants_continue: bool
    task: asyncio.Task[None] | None = None

    def request(self) -> Request:
        """What its handler gets."""
        head = self.head
        return Request(head.method, head.target, head.headers, head.length, self.body, self.stream)

    def cancel(self) -> None:
        """Stops what handles it."""
        if self.task is not None:
            self.task.cancel()
