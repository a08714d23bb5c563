"""The worker process: imports the handler and answers one call after another until the watchdog closes the socket."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Any

from fwatchdog.modes.python.frames import PREFIX_SIZE, decode_head, decode_prefix, encode_head
from fwatchdog.modes.python.handler import Handler, HandlerError, load_handler
from fwatchdog.modes.python.results import BadResult, to_result


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
        while (call := _receive(descriptor)) is not None:
            head, body = _answer(handler, *call)
            _flush()
            _send(descriptor, head, body)
    except BrokenPipeError:
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


def _receive(descriptor: int) -> tuple[dict[str, Any], bytes] | None:
    """The next call; None when the watchdog has closed the socket."""
    prefix = _read(descriptor, PREFIX_SIZE)
    if prefix is None:
        return None
    head_length, body_length = decode_prefix(prefix)
    head, body = _read(descriptor, head_length), _read(descriptor, body_length)
    return None if head is None or body is None else (decode_head(head), body)


def _read(descriptor: int, length: int) -> bytes | None:
    data = os.read(descriptor, min(length, 65536)) if length else b""
    if len(data) == length:
        return data
    buffer = bytearray(length)
    buffer[: len(data)] = data
    view, position = memoryview(buffer), len(data)
    while position < length:
        count = os.readv(descriptor, [view[position:]])
        if not count:
            return None
        position += count
    return bytes(buffer)


def _send(descriptor: int, head: dict[str, Any], body: bytes) -> None:
    lead = encode_head(head, len(body))
    # One system call for what fits; the rest from where it stopped.
    written = os.writev(descriptor, [lead, body])
    for part in (lead, body):
        rest = memoryview(part)[min(written, len(part)) :]
        written -= len(part) - len(rest)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
