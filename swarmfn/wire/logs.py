"""How every program writes its log: one line an event on standard error, for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Any

from swarmfn.wire.visible import visible, visible_lines

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: (.*?)(?: \[\w+=[^\[\]]*\])?", re.DOTALL)
_TIME = re.compile(r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?\]?[\s:]+")
"""As most programs write it at the beginning of a line."""


class _Extras(logging.Formatter):
    """A formatter that also shows what was passed as `extra`: the event's name and values such as the call id."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def extras(self, record: logging.LogRecord) -> dict[str, Any]:
        return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class TextFormatter(_Extras):
    """`2026-01-31T12:00:00.000Z INFO gateway: sentence [event=… call_id=…]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the logging module's name
        extras = " ".join(f"{key}={value}" for key, value in self.extras(record).items())
        line = super().formatMessage(record)
        # One event, one line: a newline in a value must not look like a line of ours.
        return visible(f"{line} [{extras}]" if extras else line)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return visible_lines(super().formatException(ei))


class JsonFormatter(_Extras):
    """One JSON object a line: time, level, logger, message, then the extras."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def sentence_of(line: str) -> str:
    """What a line of a log says, without its time and the values beside it. A line of another form than ours loses
    only its time."""
    if ours := _TEXT_LINE.fullmatch(line):
        return ours[1]
    if line.startswith("{"):
        return _sentence_of_json(line)
    time_of = _TIME.match(line)
    return line[time_of.end() :] if time_of else line


def _sentence_of_json(line: str) -> str:
    try:
        document = json.loads(line)
    except ValueError:
        return line
    message = document.get("message")
    return message if isinstance(message, str) and "time" in document else line


def configure_logging(log_format: str = "text", level: int = logging.INFO) -> None:
    """Sends all logging to standard error in `log_format` (`text` or `json`). Call it once, in `__main__`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("uvicorn", "rq.worker"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
