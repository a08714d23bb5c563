from __future__ import annotations

import pytest

from fwatchdog.modes.http.response_head import BadResponse, parse_response_head


def framing(block: bytes, method: str = "GET") -> tuple[int | None, bool, bool]:
    head = parse_response_head(block, method)
    return head.length, head.is_chunked, head.keep_alive


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", (5, False, True)),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: Chunked", (None, True, True)),
        (b"HTTP/1.1 200 OK", (None, False, False)),
        (b"HTTP/1.1 204 No Content", (0, False, True)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", (0, False, True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close", (5, False, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5", (5, False, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive", (5, False, True)),
    ],
)
def test_framing(block: bytes, expected: tuple[int | None, bool, bool]) -> None:
    assert framing(block) == expected


def test_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    assert framing(b"HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD") == (0, False, True)


@pytest.mark.parametrize(
    "block",
    [
        b"nonsense",
        b"HTTP/2 200",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 200 OK\r\nno header",
        b"HTTP/1.1 200 OK\r\nContent-Length: five",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
    ],
)
def test_what_is_no_response(block: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_response_head(block, "GET")
