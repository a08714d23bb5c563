from __future__ import annotations

import email.utils
import time

from fwatchdog.http.messages import Request, Response, encode_head, has_body
from fwatchdog.http.request_bodies import RequestBody


def request(target: str) -> Request:
    return Request("GET", target, [], 0, RequestBody(lambda: None, lambda: None))


def test_path_and_query_come_from_the_target() -> None:
    seen = request("/a%20b/%C3%BC%zz?x=%20&y")
    assert seen.path == "/a b/ü%zz".encode()
    assert seen.query == "x=%20&y"
    assert seen.raw_path == "/a%20b/%C3%BC%zz"


def test_framing_headers_are_the_servers() -> None:
    headers = [("X-A", "1"), ("content-length", "99"), ("Transfer-Encoding", "x"), ("Connection", "y"), ("Date", "z")]
    lines = encode_head(Response(200, headers, (b"ab", b"c")), keep_alive=True, is_http_1_1=True).split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[1] == b"X-A: 1"
    assert lines[2].startswith(b"Date: ")
    assert lines[3:] == [b"Content-Length: 3", b"", b""]


def test_date_is_now_in_the_form_of_http() -> None:
    head = encode_head(Response(200, []), keep_alive=True, is_http_1_1=True).decode()
    date = head.split("Date: ")[1].split("\r\n")[0]
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 60
    assert date == email.utils.formatdate(email.utils.parsedate_to_datetime(date).timestamp(), usegmt=True)


def test_connection_header_says_what_is_not_the_versions_default() -> None:
    response = Response(200, [])
    assert b"Connection" not in encode_head(response, keep_alive=True, is_http_1_1=True)
    assert b"Connection: close" in encode_head(response, keep_alive=False, is_http_1_1=True)
    assert b"Connection: keep-alive" in encode_head(response, keep_alive=True, is_http_1_1=False)


def test_some_responses_have_no_body() -> None:
    assert has_body("GET", 200)
    assert not has_body("HEAD", 200)
    assert not has_body("GET", 204)
    assert not has_body("GET", 304)
    assert b"Content-Length" not in encode_head(Response(204, []), keep_alive=True, is_http_1_1=True)
