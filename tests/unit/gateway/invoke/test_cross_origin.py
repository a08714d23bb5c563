"""What pages of other origins are granted."""

from __future__ import annotations

import pytest

from gateway.invoke.cross_origin import CrossOrigin, parse_origins
from gateway.settings import Settings
from swarmfn.wire.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", ("*",)),
        ("https://App.example, http://[::1]:3000", ("https://app.example", "http://[::1]:3000")),
        ("chrome-extension://abcdef", ("chrome-extension://abcdef",)),
    ],
)
def test_origins_are_read(text: str, expected: tuple[str, ...]) -> None:
    assert parse_origins(text) == expected


@pytest.mark.parametrize("text", ["app.example", "https://app.example/", "https://*.example", "null", "*,https://a.b"])
def test_what_no_browser_would_send_is_a_bad_setting(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_origins(text)
    with pytest.raises(SettingsError, match=r"cors_origins: expected \* or origins such as https://app.example:8443"):
        Settings.from_environment({"cors_origins": text, "basic_auth": "false"})


def test_a_function_that_decides_for_itself_is_left_to() -> None:
    rules = CrossOrigin(["https://app.example"])
    assert rules.grant("https://app.example", {"access-control-allow-origin", "content-type"}) == []
    assert ("access-control-allow-origin", "https://APP.example") in rules.grant("https://APP.example", {"vary"})


def test_only_a_browsers_question_is_a_preflight() -> None:
    rules = CrossOrigin(["*"])
    origin = ("origin", "https://app.example")
    method = ("access-control-request-method", "PUT")
    assert rules.preflight("OPTIONS", [origin, method]) is not None
    assert rules.preflight("OPTIONS", [origin]) is None
    assert rules.preflight("OPTIONS", [method]) is None
    assert rules.preflight("POST", [origin, method]) is None
