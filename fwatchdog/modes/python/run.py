"""One call in a worker process: its request as frames, the frames that come back as its response."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from fwatchdog.http.messages import BrokenResponse, Request, Response, text_response
from fwatchdog.modes.outcomes import about, call_id_of, duration_header, killed_for_time
from fwatchdog.modes.python.process import Lane
from fwatchdog.python_worker import frames
from fwatchdog.python_worker.frames import Frame
from fwatchdog.settings import Settings
from swarmfn.wire.headers import Headers

logger = logging.getLogger(__name__)


_FETCHED = 1024 * 1024


class FailedAmid(BrokenResponse):
    """The function failed after its response had begun. Its process is ready for the next call."""


class Run:
    """`response()` first; when that ends otherwise, `timed_out` or `died` say what the caller gets instead."""

    def __init__(self, settings: Settings, lane: Lane, request: Request) -> None:
        self._settings = settings
        self._lane = lane
        self._request = request
        self._call_id = call_id_of(request)
        self._started = time.monotonic()
        self._fetching: asyncio.Task[None] | None = None
        self._status = 0
        self._sent = 0

    async def response(self, timeout: float) -> Response:
        """Raises WorkerDied; BrokenResponse for a failure after the response has begun."""
        process = self._lane.process
        process.begin_output(self._call_id)
        response = None
        try:
            await self._send_request(timeout)
            while response is None:
                response = await self._take(await self._lane.connection.next())
            return response
        finally:
            process.end_output(is_answered=response is not None)
            if self._fetching is not None:
                self._fetching.cancel()

    async def _send_request(self, timeout: float) -> None:
        request = self._request
        is_complete = request.body.is_complete
        head = {
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "call_id": self._call_id,
            "more": not is_complete,
            "timeout": timeout,
        }
        if is_complete:
            await self._lane.connection.send(frames.CALL, head, request.body.take())
        else:
            self._lane.connection.write(frames.CALL, head, request.body.take())

    async def _take(self, frame: Frame) -> Response | None:
        """The response that `frame` completes."""
        if frame.kind == frames.ANSWER:
            self._sent = sum(map(len, frame.body))
            return self._completed(Response(frame.head["status"], self._headers(frame.head), frame.body))
        if frame.kind == frames.ERROR:
            return self._failed(frame.head["error"], frame.head["traceback"])
        if frame.kind == frames.BEGIN:
            await self._begin(frame.head)
        if frame.kind in (frames.BEGIN, frames.PIECE):
            await self._write(frame.body)
        elif frame.kind == frames.MORE:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        elif frame.kind == frames.END:
            return self._completed(Response(self._status, []))
        return None

    async def _fetch(self) -> None:
        """Sends what comes next of the request's body, once something comes."""
        body = self._request.body
        pieces = [await body.read()]
        size = len(pieces[0])
        while body.unread and size < _FETCHED:
            pieces.append(await body.read())
            size += len(pieces[-1])
        self._lane.connection.write(frames.BODY, {"more": not body.is_complete or body.unread > 0}, pieces)

    async def _begin(self, head: Mapping[str, Any]) -> None:
        self._status = head["status"]
        await self._request.stream.begin(self._status, self._headers(head))

    async def _write(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._sent += len(piece)
            await self._request.stream.write(piece)

    def _headers(self, head: Mapping[str, Any]) -> Headers:
        headers = [(name, value) for name, value in head["headers"]]
        if self._settings.content_type:
            headers = [(name, value) for name, value in headers if name.lower() != "content-type"]
            headers.append(("Content-Type", self._settings.content_type))
        headers.append(duration_header(self._seconds))
        return headers

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _completed(self, response: Response) -> Response:
        if self._settings.write_debug:
            extra = about("run_ended", self._call_id)
            logger.info("wrote %d bytes after %.6f s", self._sent, self._seconds, extra=extra)
        return response

    def _failed(self, error: str, traceback: str) -> Response:
        logger.error("the function failed: %s", error, extra=about("run_failed", self._call_id))
        text = f"The function failed: {error}. Its log has the details.\n"
        if self._settings.write_debug and traceback:
            text = traceback
        return self._instead(
            text_response(500, text, [duration_header(self._seconds)]), f"the function failed: {error}"
        )

    def timed_out(self, timeout: float) -> Response:
        """The run was stopped at its time limit."""
        answer = killed_for_time(timeout, self._seconds, self._call_id)
        return self._instead(answer, "the run was killed (exec_timeout)")

    def died(self, ending: str) -> Response:
        """The process ended under the call."""
        extra = about("worker_died", self._call_id)
        logger.error("the function's process ended during a call (%s); a new one starts", ending, extra=extra)
        text = f"The function's process ended before it answered ({ending}).\n"
        answer = text_response(500, text, [duration_header(self._seconds)])
        return self._instead(answer, "the function's process ended")

    def _instead(self, answer: Response, reason: str) -> Response:
        """`answer`, unless another one is on its way already; then that one is broken off."""
        if self._has_begun:
            raise BrokenResponse(reason)
        return answer

    @property
    def _has_begun(self) -> bool:
        return self._request.stream.has_begun
