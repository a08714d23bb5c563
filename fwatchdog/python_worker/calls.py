"""The worker process: imports the handler and answers one call after another until the watchdog closes the socket."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Any

from fwatchdog.python_worker.frames import Frame, FrameReader, encode_head
from fwatchdog.python_worker.handler import Handler, HandlerError, load_handler
from fwatchdog.python_worker.results import BadResult, to_result

_READ_SIZE = 256 * 1024


def main(descriptor: int, folder: str) -> int:
    """Serves calls on the socket `descriptor`; its exit code."""
    # Programs that the handler starts must not hold the watchdog's socket open.
    os.set_inheritable(descriptor, False)
    _print_by_line()
    try:
        handler = load_handler(folder)
    except BaseException as exc:
        if not isinstance(exc, HandlerError):
            traceback.print_exc()
        _flush()
        _send(descriptor, {"failed": _one_line(exc)}, b"")
        return 1
    _flush()
    _send(descriptor, {"ready": True}, b"")
    try:
        frames = FrameReader()
        while (call := _receive(descriptor, frames)) is not None:
            head, body = _answer(handler, call.head, b"".join(call.body))
            _flush()
            _send(descriptor, head, body)
    except (BrokenPipeError, ConnectionResetError):
        return 0
    finally:
        handler.close()
    return 0


def _answer(handler: Handler, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        result = to_result(handler.call(head, body), handler.takes_event)
    except BadResult as exc:
        return {"error": str(exc), "traceback": ""}, b""
    except BaseException as exc:
        # sys.exit() too: it ends this call, not the process that serves the next one.
        trace = _traceback(exc)
        # Not through sys.stderr, which is the handler's to replace.
        os.write(2, trace.encode("utf-8", "backslashreplace"))
        return {"error": type(exc).__name__, "traceback": trace}, b""
    return {"status": result.status, "headers": result.headers}, result.body


def _traceback(exc: BaseException) -> str:
    """Without the frames of this package at its start."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(exc), exc, trace or exc.__traceback__))


def _one_line(exc: BaseException) -> str:
    text = " ".join(str(exc).split())
    return text if isinstance(exc, HandlerError) else f"{type(exc).__name__}: {text}"


def _print_by_line() -> None:
    """The log shows what a call prints as it goes, and has it even when the process is killed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _flush() -> None:
    """What the handler printed belongs to its call: out with it before the answer."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # A handler may have closed or replaced it.
            continue


def _receive(descriptor: int, frames: FrameReader) -> Frame | None:
    """The next call; None when the watchdog has closed the socket. It sends one only after the last one's answer."""
    while data := os.read(descriptor, _READ_SIZE):
        if received := frames.feed(data):
            return received[0]
    return None


def _send(descriptor: int, head: dict[str, Any], body: bytes) -> None:
    lead = encode_head(head, len(body))
    # One system call for what fits; the rest from where it stopped.
    written = os.writev(descriptor, [lead, body])
    for part in (lead, body):
        rest = memoryview(part)[min(written, len(part)) :]
        written -= len(part) - len(rest)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
