"""Log files of replicas."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarmfn.provider.local.output import MAX_TAIL, Output, last_line
from swarmfn.provider.local.state_dir import StateDir


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(StateDir(tmp_path), max_size=1000)


def write(path: Path, text: str, age: float) -> None:
    path.write_text(text)
    os.utime(path, (1e9 - age, 1e9 - age))


def test_the_file_written_last_comes_last(output: Output) -> None:
    write(output.of_replica("f", 1), "new\n", age=1)
    write(output.of_replica("f", 2), "old\n", age=2)
    assert output.tail("f") == "old\nnew\n"


def test_the_tail_is_bounded_and_begins_with_a_whole_line(output: Output) -> None:
    write(output.of_replica("f", 1), "x" * 50 + "\n", age=2)
    write(output.of_replica("f", 2), "".join(f"line {n:06}\n" for n in range(10_000)), age=1)
    tail = output.tail("f")
    assert len(tail) <= MAX_TAIL
    assert tail.startswith("line ")
    assert tail.endswith("line 009999\n")


def test_functions_with_similar_names_are_kept_apart(output: Output) -> None:
    write(output.of_replica("ech", 1), "ech\n", age=1)
    write(output.of_replica("echo", 1), "echo\n", age=1)
    assert output.tail("ech") == "ech\n"
    output.delete("ech")
    assert output.tail("echo") == "echo\n"


def test_a_long_file_is_cut_while_a_replica_goes_on_writing(output: Output) -> None:
    path = output.of_replica("f", 1)
    with path.open("ab", buffering=0) as replica:
        replica.write(b"old\n" * 300)
        output.rotate()
        replica.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert output.tail("f").endswith("old\nnew\n")


def test_the_last_line_of_this_start_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier start\n")
    offset = log.stat().st_size
    assert last_line(log, offset) == ""
    log.write_text("earlier start\nTraceback\n  boom  \n\n")
    assert last_line(log, offset) == "boom"


def test_the_last_line_is_found_after_the_file_was_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("short\n")
    assert last_line(log, offset=5000) == "short"


def test_a_missing_log_has_no_last_line(tmp_path: Path) -> None:
    assert last_line(tmp_path / "none") == ""
