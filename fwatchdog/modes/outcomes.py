"""Answers and headers that mean the same in every mode."""

from __future__ import annotations

import logging

from fwatchdog.http.messages import Request, Response, text_response
from swarmfn.wire.headers import CALL_ID, DURATION
from swarmfn.wire.time_limits import KILLED

logger = logging.getLogger(__name__)


def call_id_of(request: Request) -> str:
    """The call's id for the log; empty where the caller sent none."""
    return request.header(CALL_ID) or ""


def about(event: str, call_id: str, **more: object) -> dict[str, object]:
    """What a log line about a run says besides its sentence."""
    return {"event": event, **({"call_id": call_id} if call_id else {}), **more}


def duration_header(seconds: float) -> tuple[str, str]:
    return DURATION, f"{seconds:.6f}"


def killed_for_time(timeout: float, seconds: float, call_id: str, status: int = 408) -> Response:
    """The answer to a run that was stopped at its exec_timeout."""
    log_kill(timeout, call_id)
    return text_response(status, KILLED, [duration_header(seconds)])


def log_kill(timeout: float, call_id: str) -> None:
    logger.warning("killed the run after %g s (exec_timeout)", timeout, extra=about("exec_timeout", call_id))
