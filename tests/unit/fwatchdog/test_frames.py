from __future__ import annotations

import pytest

from fwatchdog.python_worker.frames import ANSWER, CALL, FrameReader, lead


def encode(head: dict[str, object], body: bytes, kind: int = CALL) -> bytes:
    return lead(kind, head, len(body)) + body


@pytest.mark.parametrize("size", [1, 5, 12, 13, 10_000])
def test_frames_are_put_together_however_they_arrive(size: int) -> None:
    data = encode({"a": "ü"}, b"") + encode({"b": 1}, b"body") + encode({}, b"x" * 1000, ANSWER)
    reader, frames = FrameReader(), []
    for start in range(0, len(data), size):
        frames += reader.feed(data[start : start + size])
    assert [(frame.kind, frame.head, b"".join(frame.body)) for frame in frames] == [
        (CALL, {"a": "ü"}, b""),
        (CALL, {"b": 1}, b"body"),
        (ANSWER, {}, b"x" * 1000),
    ]


def test_frame_is_not_there_before_its_last_byte() -> None:
    data = encode({"a": 1}, b"body")
    reader = FrameReader()
    assert reader.feed(data[:-1]) == []
    assert len(reader.feed(data[-1:])) == 1
