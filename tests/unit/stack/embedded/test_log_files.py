"""The ends of log files, and what keeps the files from growing without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.embedded.log_files import last_lines, trim_logs


@pytest.mark.parametrize("length", [1, 100, 65_535, 65_536, 200_000])
def test_the_last_lines_are_whole_however_long_they_are(tmp_path: Path, length: int) -> None:
    lines = [str(number) * length for number in range(5)]
    log = tmp_path / "x.log"
    log.write_text("\n".join(lines) + "\n")
    for count in (1, 2, 5, 9):
        assert last_lines(log, count) == lines[-count:]


def test_a_line_that_has_no_end_yet_is_one(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"one\ntwo\nthr\xff")
    assert last_lines(log, 2) == ["two", "thr\ufffd"]


def test_no_lines_are_asked_for_or_there_is_no_file(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_lines(log, 3) == []
    log.write_text("")
    assert last_lines(log, 3) == []
    log.write_text("one\n")
    assert last_lines(log, 0) == []
    assert last_lines(log, -1) == []


def test_a_log_that_is_too_large_is_moved_aside_and_goes_on_in_the_same_file(tmp_path: Path) -> None:
    large, small, other = tmp_path / "large.log", tmp_path / "small.log", tmp_path / "large.txt"
    for path, size in ((large, 11), (small, 10), (other, 11)):
        path.write_text("x" * size)
    with large.open("a") as program:
        trim_logs(tmp_path, largest=10)
        program.write("next")
    assert large.read_text() == "next"
    assert (tmp_path / "large.log.1").read_text() == "x" * 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.log", "large.log.1", "large.txt", "small.log"]
    assert (small.read_text(), other.read_text()) == ("x" * 10, "x" * 11)
    large.write_text("y" * 11)
    trim_logs(tmp_path, largest=10)
    assert (tmp_path / "large.log.1").read_text() == "y" * 11
