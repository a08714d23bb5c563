"""The modes python, wsgi and asgi: a call is made in a worker process that has imported the function."""

from __future__ import annotations

import asyncio

from fwatchdog.children import Nursery
from fwatchdog.http.messages import Request, Response, text_response
from fwatchdog.http.request_bodies import HIGH_WATER
from fwatchdog.modes import CannotStart
from fwatchdog.modes.python.lane import WorkerDied
from fwatchdog.modes.python.pool import NoWorkers, Pool
from fwatchdog.modes.python.run import FailedAmid, Run
from fwatchdog.settings import PYTHON, WSGI, Settings


class PythonMode:
    """Calls the function in a pool of processes. A run's time starts when a process takes it, not while it waits."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._pool = Pool(settings, nursery)

    async def start(self) -> None:
        try:
            await self._pool.start()
        except (WorkerDied, OSError) as exc:
            await self._pool.close()
            raise CannotStart(f"the function in {self._settings.handler_path} cannot be used: {exc}") from exc

    async def run(self, request: Request, timeout: float) -> Response:
        if self._wants_whole_body(request):
            await request.body.wait_complete()
        try:
            lane = await self._pool.acquire()
        except NoWorkers:
            return text_response(503, "The function's process cannot start. Its log has the details.\n")
        run = Run(self._settings, lane, request)
        try:
            async with asyncio.timeout(timeout or None):
                response = await run.response(timeout)
        except TimeoutError:
            self._pool.abandon(lane, "another call in it ran into its exec_timeout", at_once=True)
            return run.timed_out(timeout)
        except WorkerDied:
            self._pool.release(lane)
            return run.died(await lane.process.ending())
        except FailedAmid:
            self._pool.release(lane)
            raise
        except BaseException:
            self._pool.abandon(lane, "another call in it was stopped", at_once=False)
            raise
        self._pool.release(lane)
        return response

    def _wants_whole_body(self, request: Request) -> bool:
        """A slow client must not keep a process waiting. Applications read what is long, or comes as it is made."""
        if self._settings.mode == PYTHON or self._settings.http_buffer_req_body:
            return True
        return self._settings.mode == WSGI and request.length is not None and request.length <= HIGH_WATER

    async def close(self) -> None:
        await self._pool.close()
