"""What a function prints, in the watchdog's log: line by line, with the call it belongs to."""

from __future__ import annotations

import logging
import os

logger = logging.getLogger("function")

_STDERR = 2


class FunctionLog:
    """Takes a function's output as it comes. `call_id` may change between calls; `end_call` ends a line in progress.

    With `has_prefix` lines go through the logger; without, they are written as they are.
    """

    def __init__(self, has_prefix: bool, longest_line: int, call_id: str = "") -> None:
        self._has_prefix = has_prefix
        self._longest_line = longest_line
        self._partial = b""
        self.call_id = call_id

    def feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._log(line)
        while len(self._partial) > self._longest_line:
            self._log(self._partial[: self._longest_line])
            self._partial = self._partial[self._longest_line :]

    def end_call(self) -> None:
        if self._partial:
            line, self._partial = self._partial, b""
            self._log(line)
        self.call_id = ""

    def _log(self, line: bytes) -> None:
        if not self._has_prefix:
            os.write(_STDERR, line + b"\n")
            return
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        extra = {"event": "function_output"}
        if self.call_id:
            extra["call_id"] = self.call_id
        logger.info("%s", text, extra=extra)
