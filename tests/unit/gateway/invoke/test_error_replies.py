"""Failures as replies."""

from __future__ import annotations

import json

import pytest

from gateway.invoke.error_replies import error_with_status, prefers_json, render_error, unexpected
from swarmfn.wire.errors import (
    FaasError,
    FunctionNotFound,
    InvalidFunction,
    InvalidRequest,
    Overloaded,
    Unauthorized,
    Unavailable,
)


def test_text_is_message_and_hint_on_one_line() -> None:
    status, headers, body = render_error(FaasError("it broke.", "Fix it."))
    assert (status, body) == (500, b"it broke. Fix it.\n")
    assert dict(headers)["Content-Type"] == "text/plain; charset=utf-8"
    assert dict(headers)["X-OpenFaaS-Internal"] == "gateway"


def test_json_leaves_out_an_empty_hint() -> None:
    _, headers, body = render_error(FaasError("it broke."), "application/json")
    assert dict(headers)["Content-Type"] == "application/json"
    assert json.loads(body) == {"error": "it broke."}


def test_the_status_is_the_errors_own() -> None:
    assert render_error(FunctionNotFound("echo"))[0] == 404
    assert render_error(InvalidFunction("image", "is required."))[0] == 400
    assert render_error(error_with_status(501, "not here."))[0] == 501


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "0"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (90.5, "91")])
def test_retry_after_is_rounded_up_to_whole_seconds(seconds: float, header: str) -> None:
    for error in (Unavailable("away.", retry_after=seconds), Overloaded("full.", retry_after=seconds)):
        assert dict(render_error(error)[1])["Retry-After"] == header


def test_only_errors_that_pass_tell_when_to_come_back() -> None:
    assert "Retry-After" not in dict(render_error(FunctionNotFound("echo"))[1])


def test_a_401_asks_for_credentials() -> None:
    assert dict(render_error(Unauthorized("no."))[1])["WWW-Authenticate"] == 'Basic realm="Restricted"'


def test_what_is_unexpected_tells_nothing_but_the_reference() -> None:
    status, _, body = render_error(unexpected("abc123"))
    assert status == 500
    assert b'"abc123"' in body


def test_a_message_with_half_a_character_still_becomes_a_body() -> None:
    assert render_error(FaasError("bad \udcff name"))[2] == b"bad \\udcff name\n"


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", False),
        ("text/plain;q=0.5, application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/json;q=0", False),
        ("application/json;q=nonsense", False),
        (",;,", False),
    ],
)
def test_json_must_be_named_and_liked_at_least_as_well_as_text(accept: str, is_json: bool) -> None:
    assert prefers_json(accept) is is_json


@pytest.mark.parametrize("accept", ["", "application/json"])
def test_nothing_in_an_error_acts_on_the_terminal_that_shows_it(accept: str) -> None:
    _, _, body = render_error(InvalidRequest("a \x1b[2J\x9b\nb.", "c\u202ed"), accept)
    shown = body.decode().replace("\\\\", "\\")
    assert r"a \x1b[2J\x9b\nb." in shown
    assert r"c\u202ed" in shown
