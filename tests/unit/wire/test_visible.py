"""What a terminal would obey is shown escaped."""

from __future__ import annotations

import logging
import sys

import pytest

from swarmfn.wire.logs import TextFormatter
from swarmfn.wire.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ümläut, 日本, 😀\ttab", "plain, ümläut, 日本, 😀\ttab"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m \x7f \x00", r"\x9b31m \x7f \x00"),
        ("a\r\nb", r"a\r\nb"),
        ("a\u2028b\u202ec\u2066", r"a\u2028b\u202ec\u2066"),
        ("\udcff", r"\udcff"),
        ("", ""),
    ],
)
def test_what_acts_is_escaped_and_the_rest_is_left(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_stay_lines() -> None:
    assert visible_lines("a\x1bb\n\tc\r\n") == "a\\x1bb\n\tc\\r\n"


def test_a_log_in_text_holds_nothing_that_acts_in_an_exception_either() -> None:
    try:
        raise ValueError("\x1b[31mred\u202e")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "of %s", ("\x1b[2J\nfake",), sys.exc_info())
    record.name = "gateway"
    record.client = "\x9bx"
    lines = TextFormatter().format(record).splitlines()
    assert lines[0].endswith(r"gateway: of \x1b[2J\nfake [client=\x9bx]")
    assert lines[-1] == r"ValueError: \x1b[31mred\u202e"
    assert "Traceback" in lines[1]
