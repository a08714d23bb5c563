from __future__ import annotations

from fwatchdog.http.messages import Request
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.modes.cgi import cgi_variables


def variables(
    target: str = "/", headers: list[tuple[str, str]] | None = None, length: int | None = 0
) -> dict[str, str]:
    request = Request("POST", target, headers or [], length, RequestBody(lambda: None, lambda: None))
    return {name.decode(): value.decode() for name, value in cgi_variables(request).items()}


def test_plain_request_has_these_variables_and_no_others() -> None:
    assert variables(headers=[("Host", "f:80")]) == {
        "Http_Method": "POST",
        "Http_Path": "/",
        "Http_Host": "f:80",
        "Http_Content_Length": "0",
        "Http_ContentLength": "0",
    }


def test_names_are_canonical_and_dashes_become_underscores() -> None:
    seen = variables(headers=[("x-call-ID", "1"), ("CONTENT-TYPE", "a/b"), ("x-a", "first"), ("X-A", "second")])
    assert seen["Http_X_Call_Id"] == "1"
    assert seen["Http_Content_Type"] == "a/b"
    assert seen["Http_X_A"] == "first"


def test_query_is_there_when_the_target_has_one() -> None:
    assert variables("/a?b=%20c")["Http_Query"] == "b=%20c"
    assert "Http_Query" not in variables("/a?")


def test_header_cannot_pose_as_the_servers_own_variables() -> None:
    seen = variables("/real", [("Path", "/fake"), ("Method", "FAKE"), ("Contentlength", "9")], length=3)
    assert (seen["Http_Path"], seen["Http_Method"], seen["Http_ContentLength"]) == ("/real", "POST", "3")


def test_chunked_request_has_no_length() -> None:
    seen = variables(headers=[("Transfer-Encoding", "chunked")], length=None)
    assert seen["Http_Transfer_Encoding"] == "chunked"
    assert seen["Http_Content_Length"] == "-1"
