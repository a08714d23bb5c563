"""Credentials in a header, and which paths are open."""

from __future__ import annotations

import pytest

from gateway.invoke.credentials import basic_credentials
from gateway.invoke.open_routes import is_open


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic YTpi", b"a:b"),
        ("bAsIc  YTpi ", b"a:b"),
        ("Basic w7w6/w==", b"\xc3\xbc:\xff"),
        ("Basic", None),
        ("Basic YTp", None),
        ("Basic YT pi", None),
        ("Basic \xfc", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_basic_credentials_are_the_bytes_the_client_sent(header: str, credentials: bytes | None) -> None:
    assert (basic_credentials(header) or None) == credentials


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("/function/echo", True),
        ("/function/echo/system/functions", True),
        ("/async-function/echo", True),
        ("/healthz", True),
        ("/", False),
        ("", False),
        ("//function/echo", False),
        ("/functions", False),
        ("/function", True),
        ("/healthz2", False),
        ("/system/functions", False),
        ("/metrics", False),
        ("/ui/function/", False),
    ],
)
def test_only_calls_and_health_are_open(path: str, opened: bool) -> None:
    assert is_open(path) is opened
