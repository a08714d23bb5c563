"""How every program writes its log: one line an event on standard error, for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from swarmfn.wire.visible import visible, visible_lines

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


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


def configure_logging(log_format: str = "text", level: int = logging.INFO) -> None:
    """Sends all logging to standard error in `log_format` (`text` or `json`). Call it once, in `__main__`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("uvicorn", "rq.worker"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
