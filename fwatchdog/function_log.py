"""What a function prints, in the watchdog's log: line by line, with the call it belongs to."""

from __future__ import annotations

import logging
import os
import re

logger = logging.getLogger("function")

_STDERR = 2
_MARKED = re.compile(rb"\0([^\0\n]{1,1000})\0")


class FunctionLog:
    """Takes a function's output as it comes. `call_id` may change between calls; `end_call` ends a line in progress.

    With `has_prefix` lines go through the logger; without, they are written as they are. A line may name its call
    itself, as `python_worker.output` marks it.
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
        self._cut_what_is_long()

    def _cut_what_is_long(self) -> None:
        mark = _MARKED.match(self._partial)
        start = mark.end() if mark else 0
        while len(self._partial) > start + self._longest_line:
            end = start + self._longest_line
            self._log(self._partial[:end])
            self._partial = self._partial[:start] + self._partial[end:]

    def end_call(self) -> None:
        if self._partial:
            line, self._partial = self._partial, b""
            self._log(line)
        self.call_id = ""

    def _log(self, line: bytes) -> None:
        call_id = self.call_id
        if mark := _MARKED.match(line):
            call_id, line = mark[1].decode("utf-8", "replace"), line[mark.end() :]
        if not self._has_prefix:
            os.write(_STDERR, line + b"\n")
            return
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        extra = {"event": "function_output"}
        if call_id:
            extra["call_id"] = call_id
        logger.info("%s", text, extra=extra)
