"""What an engine sends of a service's log, as lines.

Each piece begins with its time and with the ids of the task that wrote it; a long line comes in several pieces, and
the pieces of several tasks are mixed. Lines of the engine's own, about logs that it cannot get, have no such beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEGINNING = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) (\S*) ?")
_TASK = re.compile(rb"(?:^|,)com\.docker\.swarm\.task\.id=([^,]+)")


@dataclass(frozen=True, order=True)
class LogLine:
    """One line. `time` is RFC 3339 in UTC with nanoseconds, so that it sorts as text; "" with the engine's own lines,
    which have no task either."""

    time: str
    task: str
    text: str


class LineReader:
    """Puts pieces together again. One reader for one stream.

    A terminal's output comes byte by byte. Everything else comes in whole pieces, each a line or, without an end of
    line, the beginning of one.
    """

    def __init__(self, is_terminal: bool = False) -> None:
        self._is_terminal = is_terminal
        self._rest = b""
        self._begun: dict[str, LogLine] = {}

    def feed(self, chunk: bytes) -> list[LogLine]:
        """The lines that are complete with this chunk, in the order they came."""
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        lines = [self._joined(_line(piece)) for piece in complete]
        if self._rest and not self._is_terminal:
            begun = self._joined(_line(self._rest))
            self._begun[begun.task] = begun
            self._rest = b""
        return lines

    def end(self) -> list[LogLine]:
        """What was not complete when the stream ended."""
        left = sorted(self._begun.values())
        if self._rest:
            left.append(_line(self._rest))
        self._rest, self._begun = b"", {}
        return left

    def _joined(self, line: LogLine) -> LogLine:
        """With what came before it of the same line."""
        begun = self._begun.pop(line.task, None)
        return line if begun is None else LogLine(begun.time, line.task, begun.text + line.text)


def _line(piece: bytes) -> LogLine:
    beginning = _BEGINNING.match(piece)
    if beginning is None:
        return LogLine("", "", piece.decode(errors="replace").rstrip("\r"))
    task = _TASK.search(beginning[2])
    text = piece[beginning.end() :].decode(errors="replace").rstrip("\r")
    return LogLine(_padded(beginning[1].decode()), task[1].decode() if task else "", text)


def _padded(time: str) -> str:
    """With nine digits after the point: the engine leaves zeros at the end out."""
    seconds, _, fraction = time.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<9}Z"
