"""What `handle(req)` finds around it, as if it had a process of its own: the request in `os.environ`, and a standard
output that is the answer.

One call at a time: environment and descriptors belong to the whole process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from fwatchdog.cgi import variables_of
from fwatchdog.python_worker.lane import is_forked, leave_if_forked
from fwatchdog.python_worker.paths import unescaped

_STDOUT = 1


class Surroundings:
    """`begin`, then any number of `take`, then `end`.

    `output` is a file in memory, which the watchdog has open too: what a process that was killed had printed is there.
    """

    def __init__(self, output: int, has_variables: bool) -> None:
        os.set_inheritable(output, False)
        self._output = output
        self._log = os.dup(_STDOUT)
        # Its dict, where it is the one of CPython: reading a variable by way of its methods costs ten times as much.
        self._present: Mapping[bytes, bytes] = getattr(os.environ, "_data", os.environb)
        self._environ = os.environb
        self._has_variables = has_variables
        self._variables: dict[bytes, bytes] = {}
        self._has_begun = False

    def begin(self, head: Mapping[str, Any], length: int) -> None:
        if self._has_variables:
            self._describe(head, length)
        os.dup2(self._output, _STDOUT)
        self._has_begun = True

    def take(self) -> bytes:
        """What was printed since the last time, by the handler or by programs that it started."""
        # A forked copy shares the file, and must not take from it.
        leave_if_forked()
        self._flush()
        size = os.lseek(self._output, 0, os.SEEK_CUR)
        if not size:
            return b""
        printed = _read(self._output, size)
        os.ftruncate(self._output, 0)
        os.lseek(self._output, 0, os.SEEK_SET)
        return printed

    def take_last(self) -> bytes:
        """The same; what is printed from now on goes to the log."""
        rest = self.take()
        self._has_begun = False
        os.dup2(self._log, _STDOUT)
        if _has_children():
            # They may still print, which must not get into the next caller's answer.
            self._replace()
        return rest

    def end(self) -> None:
        """What nobody took goes to the log."""
        if self._has_begun and not is_forked():
            _write(_STDOUT, self.take_last())

    def _flush(self) -> None:
        """The handler may have closed its standard output, or put another one in its place."""
        for stream in {sys.stdout, sys.__stdout__}:
            try:
                stream.flush()  # type: ignore[union-attr]
            except (AttributeError, OSError, ValueError):
                continue

    def _replace(self) -> None:
        fresh = os.memfd_create("stdout")
        os.close(self._output)
        self._output = fresh

    def _describe(self, head: Mapping[str, Any], length: int) -> None:
        """Sets what is not as it was in the last call; most of it is."""
        path, _, query = head["target"].partition("?")
        wanted = variables_of(head["method"], unescaped(path), query, head["headers"], length)
        present, environ = self._present, self._environ
        for name in self._variables:
            if name not in wanted and name in present:
                del environ[name]
        for name, value in wanted.items():
            if present.get(name) != value:
                environ[name] = value
        self._variables = wanted


def _read(descriptor: int, size: int) -> bytes:
    """All of it: one read returns 2 GiB at most."""
    pieces = []
    start = 0
    while start < size and (piece := os.pread(descriptor, size - start, start)):
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
