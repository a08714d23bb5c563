from __future__ import annotations

import logging

import pytest

from fwatchdog.function_log import FunctionLog


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [(record.getMessage(), getattr(record, "call_id", None)) for record in caplog.records]


def test_lines_are_logged_whole_and_with_their_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = FunctionLog(has_prefix=True, longest_line=100, call_id="c-1")
    log.feed(b"one\ntw")
    log.feed(b"o\r\nthr")
    assert lines(caplog) == [("one", "c-1"), ("two", "c-1")]
    log.end_call()
    log.feed(b"later\n")
    assert lines(caplog)[2:] == [("thr", "c-1"), ("later", None)]


def test_endless_line_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = FunctionLog(has_prefix=True, longest_line=4)
    log.feed(b"abcdefghij")
    log.end_call()
    assert [text for text, _ in lines(caplog)] == ["abcd", "efgh", "ij"]


def test_bytes_that_are_no_text_do_not_stop_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    FunctionLog(has_prefix=True, longest_line=100).feed(b"\xff %s\n")
    assert [text for text, _ in lines(caplog)] == ["\ufffd %s"]


def test_without_prefix_lines_are_written_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    FunctionLog(has_prefix=False, longest_line=100).feed(b"\xff raw\n")
    assert capfdbinary.readouterr().err == b"\xff raw\n"


def test_marked_lines_name_their_own_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = FunctionLog(has_prefix=True, longest_line=4)
    log.feed(b"\0c-1\0one\n\0c-2\0two\nbare\n\0c-3\0abcdefgh")
    log.feed(b"ij\n")
    assert lines(caplog)[:3] == [("one", "c-1"), ("two", "c-2"), ("bare", None)]
    assert lines(caplog)[3:] == [("abcd", "c-3"), ("efghij", "c-3")]
