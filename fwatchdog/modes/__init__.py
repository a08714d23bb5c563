"""The ways to run a function, one module or package each, behind the interface here; `choice` picks one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fwatchdog.http.messages import Request, Response


class CannotStart(Exception):
    """The function cannot be served; the message is one line for the person who deployed it."""


class Mode(Protocol):
    """One way to run the function."""

    async def start(self) -> None:
        """Returns once calls can be served. Raises CannotStart."""

    async def run(self, request: Request, timeout: float) -> Response:
        """The function's answer, or what ended the run. After `timeout` seconds (0: no limit) its status is
        the one that its own watchdog gives in this mode: 408, 500 when serializing, 504 with `http`.

        Cancelled when the caller has gone: then, as at every end, nothing of the run is left behind.
        """

    async def close(self) -> None:
        """Ends whatever still runs."""


Failed = Callable[[str], None]
"""Called, with the reason in one line, when the function cannot be served any more."""
