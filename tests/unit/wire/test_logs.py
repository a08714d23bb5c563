"""Log lines: one an event, for people or for machines, with the event's name and values."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from swarmfn.wire.logs import JsonFormatter, TextFormatter, configure_logging, sentence_of


def record(message: str, *args: object, exc_info: Any = None, **extra: object) -> logging.LogRecord:
    """A record as a logger makes it."""
    logger = logging.getLogger("gateway.invoke")
    made = logger.makeRecord(logger.name, logging.INFO, "f.py", 1, message, args, exc_info, extra=extra)
    made.created, made.msecs = 0.25, 250.0
    return made


def failure() -> object:
    try:
        raise ValueError("no\nsuch luck")
    except ValueError:
        return sys.exc_info()


def test_a_text_line_shows_time_level_logger_sentence_and_extras() -> None:
    line = TextFormatter().format(record("Done in %d s.", 3, event="call_done", call_id="7"))
    assert line == "1970-01-01T00:00:00.250Z INFO gateway.invoke: Done in 3 s. [event=call_done call_id=7]"


def test_a_text_line_without_extras_has_no_brackets() -> None:
    assert TextFormatter().format(record("Done.")).endswith("gateway.invoke: Done.")


def test_a_json_line_holds_the_same() -> None:
    line = JsonFormatter().format(record("Done in %d s.", 3, event="call_done", call_id="7", status=200))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "INFO",
        "logger": "gateway.invoke",
        "message": "Done in 3 s.",
        "event": "call_done",
        "call_id": "7",
        "status": 200,
    }


def test_a_json_record_stays_one_line_whatever_is_in_it() -> None:
    line = JsonFormatter().format(record("two\nlines", exc_info=failure(), thing=object(), name2="a\r\nb"))
    assert "\n" not in line
    assert "ValueError: no\nsuch luck" in json.loads(line)["exception"]


def test_a_text_line_cannot_be_forged_by_a_newline_in_a_value() -> None:
    line = TextFormatter().format(record("path %s", "/a\n1970 INFO gateway: forged", call_id="7\r\nforged"))
    assert len(line.splitlines()) == 1


def test_a_text_record_with_an_exception_shows_the_traceback_below_the_line() -> None:
    first, *rest = TextFormatter().format(record("It broke.", exc_info=failure(), event="broken")).splitlines()
    assert first.endswith("It broke. [event=broken]")
    assert rest[0].startswith("Traceback")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_a_line_of_ours_says_is_found_again(formatter: logging.Formatter) -> None:
    line = formatter.format(record("cannot start: no [luck] %s", "today", event="cannot_start", call_id="a b"))
    assert sentence_of(line) == "cannot start: no [luck] today"
    assert sentence_of(formatter.format(record("no luck %s", "today"))) == "no luck today"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RuntimeError: no luck", "RuntimeError: no luck"),
        ("2026-01-31 12:00:00,123 ERROR no luck", "ERROR no luck"),
        ("[2026-01-31 12:00:00 +0000] [7] [ERROR] no luck", "[7] [ERROR] no luck"),
        ("2026/01/31 12:00:00 no luck", "no luck"),
        ("2026-01-31T12:00:00.5Z no luck", "no luck"),
        ("at 2026-01-31 12:00:00 no luck", "at 2026-01-31 12:00:00 no luck"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ('{"message": "of another program"}', '{"message": "of another program"}'),
        ('{"time": "now", "message": 7}', '{"time": "now", "message": 7}'),
        ("{no JSON", "{no JSON"),
        ("", ""),
    ],
)
def test_of_other_lines_only_the_time_is_left_out(line: str, expected: str) -> None:
    assert sentence_of(line) == expected


@pytest.fixture
def restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("restored_root")
@pytest.mark.parametrize(
    ("log_format", "pattern"), [("text", r"^\d{4}-.*Z INFO x: hello$"), ("json", r'^\{.*"hello"\}$')]
)
def test_configuring_twice_still_writes_each_line_once(
    log_format: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure_logging("json" if log_format == "text" else "text")
    configure_logging(log_format)
    logging.getLogger("x").info("hello")
    logging.getLogger("x").debug("not shown")
    assert re.match(pattern, out.getvalue().rstrip("\n"))
