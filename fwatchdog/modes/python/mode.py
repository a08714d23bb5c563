"""The mode itself: a request becomes a frame, the frame that comes back a response."""

from __future__ import annotations

import asyncio
import logging
import time

from fwatchdog.children import Nursery
from fwatchdog.http.messages import Request, Response, text_response
from fwatchdog.modes import CannotStart
from fwatchdog.modes.outcomes import about, call_id_of, duration_header, killed_for_time
from fwatchdog.modes.python.pool import NoWorkers, Pool
from fwatchdog.modes.python.process import WorkerDied, WorkerProcess
from fwatchdog.python_worker.frames import Frame
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)


class PythonMode:
    """Calls the handler in a pool of processes. A run's time starts when a process takes it, not while it waits."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._pool = Pool(settings, nursery)

    async def start(self) -> None:
        try:
            await self._pool.start()
        except (WorkerDied, OSError) as exc:
            await self._pool.close()
            raise CannotStart(f"the handler in {self._settings.handler_path} cannot be used: {exc}") from exc

    async def run(self, request: Request, timeout: float) -> Response:
        body = await request.body.read_all()
        try:
            worker = await self._pool.acquire()
        except NoWorkers as exc:
            return text_response(503, f"The function's process cannot start: {exc}\n")
        try:
            return await self._run_in(worker, request, body, timeout)
        finally:
            self._pool.release(worker)

    async def close(self) -> None:
        await self._pool.close()

    async def _run_in(self, worker: WorkerProcess, request: Request, body: list[bytes], timeout: float) -> Response:
        started = time.monotonic()
        call_id = call_id_of(request)
        head = {
            "method": request.method,
            "path": request.path.decode("utf-8", "replace"),
            "query": request.query,
            "headers": request.headers,
        }
        try:
            async with asyncio.timeout(timeout or None):
                frame = await worker.call(head, body, call_id)
        except TimeoutError:
            worker.kill()
            return killed_for_time(timeout, time.monotonic() - started, call_id)
        except WorkerDied:
            return await self._died(worker, time.monotonic() - started, call_id)
        except asyncio.CancelledError:
            worker.kill()
            raise
        return self._answer(frame, time.monotonic() - started, call_id)

    def _answer(self, frame: Frame, seconds: float, call_id: str) -> Response:
        if "error" in frame.head:
            return self._raised(frame.head["error"], frame.head["traceback"], seconds, call_id)
        headers = [(name, value) for name, value in frame.head["headers"]]
        if self._settings.content_type:
            headers = [(name, value) for name, value in headers if name.lower() != "content-type"]
            headers.append(("Content-Type", self._settings.content_type))
        headers.append(duration_header(seconds))
        if self._settings.write_debug:
            size = sum(map(len, frame.body))
            logger.info("wrote %d bytes after %.6f s", size, seconds, extra=about("run_ended", call_id))
        return Response(frame.head["status"], headers, frame.body)

    def _raised(self, error: str, traceback: str, seconds: float, call_id: str) -> Response:
        logger.error("the function failed: %s", error, extra=about("run_failed", call_id))
        text = f"The function failed: {error}. Its log has the details.\n"
        if self._settings.write_debug and traceback:
            text = traceback
        return text_response(500, text, [duration_header(seconds)])

    async def _died(self, worker: WorkerProcess, seconds: float, call_id: str) -> Response:
        """The handler took its process down with it."""
        worker.kill()
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        worker.child.on_exit(lambda code: None if exited.done() else exited.set_result(code))
        exit_code = await exited
        ending = f"signal {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"
        extra = about("worker_died", call_id)
        logger.error("the function's process ended during a call (%s); a new one starts", ending, extra=extra)
        text = f"The function's process ended before it answered ({ending}).\n"
        return text_response(500, text, [duration_header(seconds)])
