"""ASGI's lifespan: the application's own start and end."""

from __future__ import annotations

import asyncio
from typing import Any

from fwatchdog.python_worker.loading import HandlerError


class Lifespan:
    """An application that does not know lifespan raises, and is served without."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answered: asyncio.Future[dict[str, Any] | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}
        """What the application put there at its start; every call's scope has a copy."""

    async def start(self) -> None:
        """Returns once the application is ready. Raises HandlerError when it says that it failed."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise HandlerError(f"the application failed to start: {answer.get('message', '')}")

    async def stop(self) -> None:
        """Returns once the application has ended what it has open."""
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")

    async def _ask(self, event: str) -> dict[str, Any] | None:
        self._answered = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": event})
        return await self._answered

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._events.get, self._send)
        except Exception:
            # PEP-like silence: the specification lets a server go on without lifespan.
            self._answer(None)
        finally:
            self._answer(None)

    async def _send(self, message: dict[str, Any]) -> None:
        self._answer(message)

    def _answer(self, message: dict[str, Any] | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(message)
