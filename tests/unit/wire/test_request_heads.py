from __future__ import annotations

import pytest

from swarmfn.wire.request_heads import BadRequest, parse_head


def head(*fields: bytes, line: bytes = b"POST /a?b=c HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: f", *fields])


def test_head_is_taken_apart() -> None:
    parsed = parse_head(head(b"Content-Length: 12", b"X-A:  spaced out \t"))
    assert parsed.method == "POST"
    assert parsed.target == "/a?b=c"
    assert parsed.headers == [("Host", "f"), ("Content-Length", "12"), ("X-A", "spaced out")]
    assert parsed.length == 12
    assert parsed.keep_alive
    assert not parsed.expects_continue


def test_request_without_framing_has_no_body() -> None:
    assert parse_head(head()).length == 0


def test_chunked_body_has_no_length() -> None:
    assert parse_head(head(b"transfer-encoding: Chunked")).length is None


def test_bytes_beyond_ascii_survive_as_latin_1() -> None:
    parsed = parse_head(head("X-A: grün".encode()))
    assert parsed.headers[1][1].encode("latin-1") == "grün".encode()


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: Close"], False),
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Connection: x , close"], False),
        (b"GET / HTTP/1.0", [], False),
        (b"GET / HTTP/1.0", [b"Connection: Keep-Alive"], True),
        (b"GET / HTTP/1.7", [], True),
    ],
)
def test_connection_stays_as_version_and_header_say(line: bytes, fields: list[bytes], expected: bool) -> None:
    assert parse_head(head(*fields, line=line)).keep_alive is expected


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://f/a?b", "/a?b"),
        (b"HTTP://f:80", "/"),
        (b"http://f?x=/y", "/?x=/y"),
        (b"//a//b", "//a//b"),
    ],
)
def test_target_is_reduced_to_path_and_query(target: bytes, origin: str) -> None:
    assert parse_head(head(line=b"GET " + target + b" HTTP/1.1")).target == origin


def test_expectation_of_an_old_client_is_ignored() -> None:
    assert parse_head(head(b"Expect: 100-Continue")).expects_continue
    assert not parse_head(head(b"Expect: 100-continue", line=b"GET / HTTP/1.0")).expects_continue


@pytest.mark.parametrize(
    "field",
    [
        b"no colon",
        b": no name",
        b"spa ced: x",
        b"X-A : x",
        b" X-A: x",
        b"X-A: a\x00",
        b"X-A: a\x7f",
        b"X-A: a\rb",
        b"X-A: a\nb",
        "grün: x".encode(),
        b"",
    ],
)
def test_malformed_header_is_refused(field: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(head(field))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / http/1.1",
        b"GET / HTTP/1",
        b"GET / HTTP/11.1",
        b"G@T / HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        "GET /grün HTTP/1.1".encode(),
        b"GET /a%00b HTTP/1.1",
        b"GET http://f/%00 HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET ftp://f/ HTTP/1.1",
        b"",
    ],
)
def test_malformed_request_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_head(head(line=line))


@pytest.mark.parametrize(
    "length", [b"", b"-1", b"+1", b"1.0", b"0x1", b"1 1", b"1,1", b"1" * 19, b"0" * 9 + b"1" * 19, "١".encode()]
)
def test_length_that_is_no_plain_number_is_refused(length: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_head(head(b"Content-Length: " + length))


@pytest.mark.parametrize(
    "host", [b"", b"f", b"f:80", b"f:", b"a-b_c.d:1", b"%C3%BC", b"[::1]:80", b"[v1.a:b]", b"1.2.3.4"]
)
def test_host_is_a_name_and_perhaps_a_port(host: bytes) -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nHost: " + host).keep_alive


@pytest.mark.parametrize(
    "host", [b"a b", b"a/b", b"u@f", b"a,b/", b"f:x", b"f:1:2", b"\xfc", b"[::1", b"[g]", b"%zz", b"a#b", b"f?"]
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_host_that_is_none_is_refused(host: bytes, version: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_head(b"GET / HTTP/%b\r\nHost: %b" % (version, host))


def test_host_is_required_since_http_1_1_and_never_doubled() -> None:
    assert parse_head(b"GET / HTTP/1.0").headers == []
    for lines in (b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: f\r\nHost: f", b"GET / HTTP/1.0\r\nHost: f\r\nHost: f"):
        with pytest.raises(BadRequest):
            parse_head(lines)


@pytest.mark.parametrize("version", [b"2.0", b"0.9", b"3.0"])
def test_another_major_version_is_a_505(version: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(head(line=b"GET / HTTP/" + version))
    assert caught.value.status == 505
