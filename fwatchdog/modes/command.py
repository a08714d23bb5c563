"""The function's command, started once for each call, whichever way its output then goes to the caller."""

from __future__ import annotations

import errno
import logging
import os

from fwatchdog.children import Nursery
from fwatchdog.function_log import FunctionLog
from fwatchdog.http.messages import Request, Response, text_response
from fwatchdog.modes.cgi import cgi_variables
from fwatchdog.modes.executables import ending, program_of
from fwatchdog.modes.forked_run import ForkedRun
from fwatchdog.modes.marshalling import marshalled
from fwatchdog.modes.outcomes import about, call_id_of, duration_header
from fwatchdog.settings import Settings
from swarmfn.wire.headers import Headers

logger = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"

_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})


class NotStarted(Exception):
    """The process of a call could not be started."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"the function's process was not started: {cause}")
        is_short = isinstance(cause, OSError) and cause.errno in _SHORT_OF
        # The cause names paths of this machine, which are for the log.
        text = "The function's process was not started. Its log has the details.\n"
        self.response = text_response(503 if is_short else 500, text)


class Command:
    """Starts the command of the settings for one request after another."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._program = ""
        self._environment = dict(os.environb)

    def find(self) -> None:
        """Raises CannotStart if there is no such program."""
        self._program = program_of(self._settings)

    async def start(self, request: Request, timeout: float, ahead: int | None = None) -> ForkedRun:
        """A run that has begun; `ahead` as in ForkedRun. Raises NotStarted."""
        body = await marshalled(request) if self._settings.marshal_request else request.body
        try:
            run = self._spawn(request, ahead)
        except (OSError, ValueError) as exc:
            request.body.discard()
            logger.error("the function's process was not started: %s", exc, extra=_about("spawn_failed", request))
            raise NotStarted(exc) from exc
        run.begin(body, timeout)
        return run

    def stop_all(self) -> None:
        self._nursery.kill_all()

    def _spawn(self, request: Request, ahead: int | None) -> ForkedRun:
        settings = self._settings
        environment = self._environment
        if settings.cgi_headers:
            environment = {**environment, **cgi_variables(request)}
        log = None
        if not settings.combine_output:
            log = FunctionLog(settings.prefix_logs, settings.log_buffer_size, call_id_of(request))
        return ForkedRun(self._nursery, self._program, settings.command, environment, log, ahead)


def failed(request: Request, exit_code: int, output: list[bytes], seconds: float) -> Response:
    """The answer to a run that ended with an error: the error, then what it wrote."""
    log_failure(request, exit_code, sum(map(len, output)))
    headers: Headers = [("Content-Type", TEXT), duration_header(seconds)]
    return Response(500, headers, [f"{ending(exit_code)}\n".encode(), *output])


def log_failure(request: Request, exit_code: int, size: int) -> None:
    extra = _about("run_failed", request, exit_code=exit_code)
    logger.warning("the function failed: %s, with %d bytes of output", ending(exit_code), size, extra=extra)


def log_success(request: Request, size: int, seconds: float) -> None:
    logger.info("wrote %d bytes after %.6f s", size, seconds, extra=_about("run_ended", request))


def _about(event: str, request: Request, **more: object) -> dict[str, object]:
    return about(event, call_id_of(request), **more)
