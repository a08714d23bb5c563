"""mode=streaming: a process per call, whose output goes to the caller as it comes."""

from __future__ import annotations

import logging
import time

from fwatchdog.children import Nursery
from fwatchdog.http.messages import BrokenResponse, Request, Response, Stream
from fwatchdog.modes.command import Command, NotStarted, failed, log_failure, log_success
from fwatchdog.modes.forked_run import HIGH_WATER, ForkedRun
from fwatchdog.modes.outcomes import call_id_of, killed_for_time, log_kill
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)

_BINARY = "application/octet-stream"


class StreamingMode:
    """Runs the command once for each call. The status, 200, goes out with the first output; from then on a run can
    only be broken off. A run that fails before any output is answered as in the other modes."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._command = Command(settings, nursery)
        self._media_type = settings.content_type or _BINARY

    async def start(self) -> None:
        self._command.find()

    async def run(self, request: Request, timeout: float) -> Response:
        started = time.monotonic()
        try:
            run = await self._command.start(request, timeout, HIGH_WATER)
        except NotStarted as exc:
            return exc.response
        stream = request.stream
        try:
            size = await self._pass_on(run, stream)
            ended = await run.finish()
        finally:
            run.end()
        return self._outcome(request, stream, run, ended, size, timeout, time.monotonic() - started)

    async def close(self) -> None:
        self._command.stop_all()

    async def _pass_on(self, run: ForkedRun, stream: Stream) -> int:
        """All output, until the run has ended; the number of its bytes."""
        size = 0
        while pieces := await run.read():
            if not stream.has_begun:
                await stream.begin(200, [("Content-Type", self._media_type)])
            for piece in pieces:
                size += len(piece)
                await stream.write(piece)
        return size

    def _outcome(
        self,
        request: Request,
        stream: Stream,
        run: ForkedRun,
        ended: bool,
        size: int,
        timeout: float,
        seconds: float,
    ) -> Response:
        call_id = call_id_of(request)
        if not ended and not stream.has_begun:
            return killed_for_time(timeout, seconds, call_id)
        if not ended:
            log_kill(timeout, call_id)
            raise BrokenResponse(f"the run was killed after {size} bytes of its output")
        exit_code = run.child.exit_code or 0
        if exit_code and not stream.has_begun:
            return failed(request, exit_code, [], seconds)
        if exit_code:
            # As in OpenFaaS: its caller has a status of 200 and, now, a complete body.
            log_failure(request, exit_code, size)
        elif self._settings.write_debug:
            log_success(request, size, seconds)
        return Response(200, [("Content-Type", self._media_type)])
