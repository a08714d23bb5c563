"""Logs in the engine's framing."""

from __future__ import annotations

import struct

from swarmfn.provider.swarm.log_frames import in_order, last_bytes, last_line, unframed


def frame(text: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


def test_frames_are_taken_off_and_what_was_cut_off_is_kept_as_far_as_it_goes() -> None:
    assert unframed(frame(b"one\n") + frame(b"two\n", 2)) == b"one\ntwo\n"
    assert unframed((frame(b"one\n") + frame(b"two\n"))[:-2]) == b"one\ntw"
    assert unframed(frame(b"one\n") + b"\1\0\0") == b"one\n"
    assert unframed(b"") == b""


def test_what_a_terminal_wrote_is_not_framed() -> None:
    assert (
        unframed(b"plain text, as of a service with a terminal\r\n")
        == b"plain text, as of a service with a terminal\r\n"
    )


def test_lines_of_several_replicas_are_in_the_order_of_their_times() -> None:
    timed = b"2026-01-31T12:00:00.41Z b\n2026-01-31T12:00:00.4Z a\n  more of a\n2026-01-31T12:00:01Z c\n"
    assert in_order(timed) == b"a\n  more of a\nb\nc\n"


def test_only_whole_lines_are_kept_of_what_is_too_long() -> None:
    assert last_bytes(b"one\ntwo\nthree\n", 9) == b"three\n"
    assert last_bytes(b"one\n", 9) == b"one\n"


def test_the_last_line_is_the_last_with_something_in_it() -> None:
    assert last_line(b"one\n two \n\n  \n") == "two"
    assert last_line(b"\xff\n") == "\ufffd"
    assert last_line(b"") == ""
