"""What the function prints, on its way to the watchdog's log with the call it belongs to.

With one call at a time the watchdog knows whose output it reads. With several, Python's own `sys.stdout` and
`sys.stderr` are replaced by streams that mark each line with its call; what programs and C code write themselves
stays unmarked.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import BinaryIO, TextIO

MARK = b"\0"
"""A marked line is MARK, the call's id, MARK, the line."""

_current: ContextVar[str] = ContextVar("the call whose output it is", default="")


class MarkedStream(io.TextIOBase):
    """Text that goes out line by line, each marked with the call that was current when it was written.

    Tasks and `asyncio.to_thread` take their call with them; a bare thread of the function's own belongs to none.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = stream.fileno()
        self._partial: dict[str, str] = {}
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        return self._stream.buffer

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        call_id = _current.get()
        with self._lock:
            *lines, rest = (self._partial.pop(call_id, "") + text).split("\n")
            if rest:
                self._partial[call_id] = rest
            for line in lines:
                self._send(call_id, line)
        return len(text)

    def flush(self) -> None:
        """A line in progress waits for its end: two calls' must not be mixed."""

    def end_call(self, call_id: str) -> None:
        with self._lock:
            if rest := self._partial.pop(call_id, ""):
                self._send(call_id, rest)

    def _send(self, call_id: str, line: str) -> None:
        mark = MARK + call_id.encode("utf-8", "replace") + MARK if call_id else b""
        data = memoryview(mark + line.encode("utf-8", "backslashreplace") + b"\n")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


_marked: list[MarkedStream] = []


def prepare(has_several_calls: bool) -> None:
    """Sets up standard output and error, before the function's code is imported."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if has_several_calls:
            marked = MarkedStream(stream)
            _marked.append(marked)
            setattr(sys, name, marked)
        elif isinstance(stream, io.TextIOWrapper):
            # The log shows what a call prints as it goes, and has it even when the process is killed.
            stream.reconfigure(line_buffering=True)


@contextlib.contextmanager
def output_of(call_id: str) -> Iterator[None]:
    """What is printed inside belongs to this call. Costs nothing where the watchdog knows that anyway."""
    if not _marked:
        yield
        return
    token = _current.set(call_id)
    try:
        yield
    finally:
        _current.reset(token)
        for stream in _marked:
            stream.end_call(call_id)


def flush() -> None:
    """What was printed goes out."""
    for stream in (sys.stdout, sys.stderr):
        # A handler may have closed or replaced it.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def write_traceback(text: str) -> None:
    """Into the log, as the output of the current call. Not through `sys.stderr`, which is the function's to replace."""
    if _marked:
        _marked[-1].write(text)
    else:
        with contextlib.suppress(OSError):
            os.write(2, text.encode("utf-8", "backslashreplace"))


def volunteer_for_the_oom_killer() -> None:
    """When memory runs out the kernel takes the process that runs the function, not the watchdog that replaces it."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
