"""Request heads."""

from __future__ import annotations

import pytest

from swarmfn.upstream import request_head


def test_a_head_holds_the_request_line_the_host_and_the_headers_in_their_order() -> None:
    head = request_head(
        "POST", b"/a?b=c", "echo:8080", [(b"X-B", b"1"), (b"X-A", b"2"), (b"X-B", b""), (b"x", b"\xe9")]
    )
    assert head == b"POST /a?b=c HTTP/1.1\r\nHost: echo:8080\r\nX-B: 1\r\nX-A: 2\r\nX-B: \r\nx: \xe9\r\n\r\n"


def test_a_head_may_have_no_headers_but_host() -> None:
    assert request_head(b"GET", b"/", "echo", []) == b"GET / HTTP/1.1\r\nHost: echo\r\n\r\n"


@pytest.mark.parametrize("evil", ["\r", "\n", "\0", "\r\n", "\r\nX-Evil: 1", "\n\n", "\r\r"])
def test_line_breaks_and_nul_are_refused_in_every_part(evil: str) -> None:
    raw = evil.encode()
    with pytest.raises(ValueError, match="cannot be a method"):
        request_head("GET" + evil, b"/", "echo", [])
    with pytest.raises(ValueError, match="target"):
        request_head("GET", b"/" + raw, "echo", [])
    with pytest.raises(ValueError, match="Host"):
        request_head("GET", b"/", "echo" + evil, [])
    with pytest.raises(ValueError, match="header name"):
        request_head("GET", b"/", "echo", [(b"X" + raw, b"1")])
    with pytest.raises(ValueError, match="X-Good"):
        request_head("GET", b"/", "echo", [(b"X-Good", b"1" + raw), (b"X-Other", b"2")])


@pytest.mark.parametrize("target", [b"", b"/ HTTP/1.1", b"/a b", b" /"])
def test_a_target_that_would_end_the_request_line_early_is_refused(target: bytes) -> None:
    with pytest.raises(ValueError, match="target"):
        request_head("GET", target, "echo", [])


@pytest.mark.parametrize(
    "name", [b"", b"X:", b"X Y", b"X ", b" X", b"Content-Length\t", b"X\xe9", b"Transfer-Encoding: chunked"]
)
def test_a_name_that_is_no_token_is_refused(name: bytes) -> None:
    for _ in range(2):  # also when the name has been seen before
        with pytest.raises(ValueError, match="header name"):
            request_head("GET", b"/", "echo", [(name, b"1")])


def test_a_second_host_is_refused() -> None:
    with pytest.raises(ValueError, match="Host"):
        request_head("GET", b"/", "echo", [(b"hOST", b"other")])


def test_a_host_outside_ascii_is_refused() -> None:
    with pytest.raises(ValueError):
        request_head("GET", b"/", "bücher", [])
