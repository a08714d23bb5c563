"""Lines of a service's log, out of the pieces that an engine sends."""

from __future__ import annotations

from stack.swarm.log_lines import LineReader, LogLine


def piece(text: str, task: str = "t1", time: str = "2026-01-31T12:00:00.123456789Z") -> bytes:
    details = f"com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id={task}"
    return f"{time} {details} {text}".encode()


def test_a_piece_is_a_line_with_its_time_and_task() -> None:
    [line] = LineReader().feed(piece("hello\n"))
    assert line == LogLine("2026-01-31T12:00:00.123456789Z", "t1", "hello")


def test_spaces_at_the_beginning_and_empty_lines_stay() -> None:
    reader = LineReader()
    assert [line.text for line in reader.feed(piece("  indented\n"))] == ["  indented"]
    assert [line.text for line in reader.feed(piece("\n"))] == [""]


def test_times_sort_as_text_whatever_the_engine_leaves_out() -> None:
    reader = LineReader()
    times = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000001Z"]
    lines = [reader.feed(piece("x\n", time=time))[0] for time in times]
    assert [line.time for line in lines] == sorted(line.time for line in lines)


def test_a_long_line_is_put_together_while_others_write() -> None:
    reader = LineReader()
    later = "2026-01-31T12:00:01Z"
    assert reader.feed(piece("one ")) == []
    assert [line.text for line in reader.feed(piece("from the other\n", task="t2"))] == ["from the other"]
    assert reader.feed(piece("two ", time=later)) == []
    [line] = reader.feed(piece("three\n", time=later))
    assert line == LogLine("2026-01-31T12:00:00.123456789Z", "t1", "one two three")


def test_what_was_not_complete_is_there_at_the_end() -> None:
    reader = LineReader()
    reader.feed(piece("no end of line"))
    assert [line.text for line in reader.end()] == ["no end of line"]
    assert reader.end() == []


def test_a_terminals_output_comes_byte_by_byte() -> None:
    reader = LineReader(is_terminal=True)
    lines = [line for byte in piece("hello\r\n") + piece("half") for line in reader.feed(bytes([byte]))]
    assert [(line.task, line.text) for line in lines] == [("t1", "hello")]
    assert [line.text for line in reader.end()] == ["half"]


def test_what_the_engine_says_itself_has_no_task() -> None:
    [line] = LineReader().feed(b"error: node n2 is not available\n")
    assert line == LogLine("", "", "error: node n2 is not available")


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are() -> None:
    [line] = LineReader().feed(piece("caf").rstrip() + b"\xe9\n")
    assert line.text == "caf�"
