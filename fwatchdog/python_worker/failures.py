"""What went wrong, for the log and for the watchdog."""

from __future__ import annotations

import traceback

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.lane import Lane
from fwatchdog.python_worker.loading import HandlerError
from fwatchdog.python_worker.output import flush, write_traceback


def traceback_of(exc: BaseException) -> str:
    """Without the frames at its start that are this package's, or the import system's."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") in (__package__, "importlib"):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(exc), exc, trace or exc.__traceback__))


def one_line(exc: BaseException) -> str:
    text = " ".join(str(exc).split())
    return text if isinstance(exc, HandlerError) else f"{type(exc).__name__}: {text}"


def report_failed_start(lane: Lane, exc: BaseException) -> None:
    """The traceback in the log, the reason in one line for the watchdog."""
    if not isinstance(exc, HandlerError):
        write_traceback(traceback_of(exc))
    flush()
    lane.send(frames.FAILED, {"reason": one_line(exc)})
