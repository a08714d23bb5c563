"""Callback URLs, taken apart and shown."""

from __future__ import annotations

import pytest

from swarmfn.wire.callback_urls import CallbackUrl, origin_of, parse_callback_url, without_credentials


@pytest.mark.parametrize(
    ("url", "parsed", "address"),
    [
        ("http://a.example", CallbackUrl(False, "a.example", 80, "a.example", "", ""), "a.example:80"),
        ("HTTPS://A.example/x?y=z#f", CallbackUrl(True, "a.example", 443, "A.example", "/x", "y=z"), "a.example:443"),
        ("http://a.example:8443/", CallbackUrl(False, "a.example", 8443, "a.example:8443", "/", ""), "a.example:8443"),
        ("http://[2001:DB8::1]/", CallbackUrl(False, "2001:db8::1", 80, "[2001:DB8::1]", "/", ""), "[2001:db8::1]:80"),
        ("http://me:a%3Ab@h:81", CallbackUrl(False, "h", 81, "h:81", "", "", b"me:a:b"), "h:81"),
        ("http://me@h", CallbackUrl(False, "h", 80, "h", "", "", b"me:"), "h:80"),
        ("http://a@b:c:d@h", CallbackUrl(False, "h", 80, "h", "", "", b"a@b:c:d"), "h:80"),
    ],
)
def test_a_url_names_a_receiver(url: str, parsed: CallbackUrl, address: str) -> None:
    assert parse_callback_url(url) == parsed
    assert parsed.address == address


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h:99999/", "is not a URL"),
        ("http://[::1", "is not a URL"),
        ("ftp://h/", "is not an absolute"),
        ("/function/echo", "is not an absolute"),
        ("http:///x", "is not an absolute"),
        ("gateway:8080", "is not an absolute"),
        ("http://h:0/", "cannot be called"),
    ],
)
def test_what_names_no_receiver(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_callback_url(url)


def test_a_password_is_in_no_traceback() -> None:
    assert "secret" not in repr(parse_callback_url("http://me:secret@h/"))


@pytest.mark.parametrize(
    ("url", "origin", "shown"),
    [
        ("https://me:pw@h:1/a/secret?t=1", "https://h:1", "https://h:1/a/secret?t=1"),
        ("https://h?t=1", "https://h", "https://h?t=1"),
        ("http://h#me@x", "http://h", "http://h#me@x"),
        ("http://[::1", "http://[::1", "http://[::1"),
        ("no url", "no url", "no url"),
    ],
)
def test_what_is_shown_of_a_url(url: str, origin: str, shown: str) -> None:
    assert (origin_of(url), without_credentials(url)) == (origin, shown)
