"""mode=fork and mode=serializing: a process per call, whose output is held back until it has ended."""

from __future__ import annotations

import time

from fwatchdog.children import Nursery
from fwatchdog.http.messages import Request, Response
from fwatchdog.modes.command import Command, NotStarted, failed, log_success
from fwatchdog.modes.outcomes import call_id_of, duration_header, killed_for_time
from fwatchdog.settings import Settings
from fwatchdog.sniffing import BINARY, SAMPLE, detected_type

_FORK_TIMEOUT = 408
_SERIALIZING_TIMEOUT = 500


class ForkMode:
    """Runs the command once for each call. Only when it has ended is the status known."""

    def __init__(self, settings: Settings, nursery: Nursery, is_serializing: bool) -> None:
        self._settings = settings
        self._command = Command(settings, nursery)
        self._is_serializing = is_serializing

    async def start(self) -> None:
        self._command.find()

    async def run(self, request: Request, timeout: float) -> Response:
        started = time.monotonic()
        try:
            run = await self._command.start(request, timeout)
        except NotStarted as exc:
            return exc.response
        try:
            ended = await run.finish()
        finally:
            run.end()
        seconds = time.monotonic() - started
        if not ended:
            status = _SERIALIZING_TIMEOUT if self._is_serializing else _FORK_TIMEOUT
            return killed_for_time(timeout, seconds, call_id_of(request), status)
        return self._answer(request, run.child.exit_code or 0, run.take(), seconds)

    async def close(self) -> None:
        self._command.stop_all()

    def _answer(self, request: Request, exit_code: int, output: list[bytes], seconds: float) -> Response:
        if exit_code:
            return failed(request, exit_code, output, seconds)
        if self._settings.write_debug:
            log_success(request, sum(map(len, output)), seconds)
        media_type = self._settings.content_type or self._usual_type(request, output)
        return Response(200, [("Content-Type", media_type), duration_header(seconds)], output)

    def _usual_type(self, request: Request, output: list[bytes]) -> str:
        if self._is_serializing:
            return BINARY
        return request.header("content-type") or detected_type(_beginning(output))


def _beginning(output: list[bytes]) -> bytes:
    """As much of the output as its type depends on; a slow command's comes in small pieces."""
    beginning = b""
    for piece in output:
        beginning += piece[:SAMPLE]
        if len(beginning) >= SAMPLE:
            break
    return beginning
